#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void guard_step(RefCall<T>& call) {
  auto& clip = call.in[0]->f;
  auto& halted = call.in[3]->f;
  const bool follows = call.in[2]->f[1] != 0;
  const bool bad = clip[3] != 0 || !std::isfinite(call.in[1]->f[0]) || (follows && halted[0] != 0);
  if (bad) clip = {T(0), clip[1], T(0), T(1)};
  halted[0] = bad ? T(1) : T(0);
}
template void guard_step<float>(RefCall<float>&);
template void guard_step<double>(RefCall<double>&);

namespace {
OpCase guarded(std::string name, double marked, double loss, double follows, double halted) {
  return {.name = std::move(name),
          .inputs = {{.shape = {1, 4}}, {.shape = {1, 1}}, {.shape = {1, 4}}, {.shape = {1, 1}}},
          .fill =
              [=](auto& in, Philox&) {
                in[0].f = {marked != 0 ? 0.0f : 0.5f, 3.5, 0, static_cast<float>(marked)};
                in[1].f = {static_cast<float>(loss)};
                in[2].f = {1, static_cast<float>(follows), 0, 0};
                in[3].f = {static_cast<float>(halted)};
              },
          .gradient = false};
}
}  // namespace

std::vector<OpCase> guard_step_cases() {
  return {guarded("good", 0, 2.5, 1, 0),           guarded("gradient_marked", 1, 2.5, 1, 0),
          guarded("loss_nan", 0, NAN, 1, 0),       guarded("loss_infinite", 0, -INFINITY, 0, 0),
          guarded("follows_halted", 0, 2.5, 1, 1), guarded("starts_anew", 0, 2.5, 0, 1)};
}

}  // namespace fabula::reference
