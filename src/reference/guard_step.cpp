#include <algorithm>
#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void guard_step(RefCall<T>& call) {
  auto& clip = call.in[0]->f;
  const auto& limits = call.in[2]->f;
  auto& halted = call.in[3]->f;
  std::vector<T>* loss_scale = call.in[4] ? &call.in[4]->f : nullptr;
  const bool bad = clip[3] != 0 || !std::isfinite(call.in[1]->f[0]), stopped = limits[1] != 0 && halted[0] != 0;
  const double scale = loss_scale ? double((*loss_scale)[0]) : 1.0, norm = clip[1] / scale;
  const bool skipped = bad && !stopped && scale > 1, halts = stopped || (bad && !skipped);
  halted[0] = halts ? T(1) : T(0);
  if (loss_scale && !stopped) {
    const double good = bad ? 0 : (*loss_scale)[1] + 1;
    const bool grows = limits[2] > 0 && good >= limits[2];
    const double next = bad ? std::max(scale / 2, 1.0) : grows ? std::min(scale * 2, 0x1p24) : scale;
    *loss_scale = {T(next), T(grows ? 0 : good), T(0), T(0)};
  }
  if (halts) {
    clip = {T(0), T(norm), T(scale), T(1)};
  } else if (skipped) {
    clip = {T(0), T(0), T(scale), T(2)};
  } else if (!loss_scale) {
    clip = {clip[0], clip[1], T(1), T(0)};
  } else {
    const double factor = limits[0] > 0 ? std::min(1.0, limits[0] / (norm + 1e-6)) : 1.0;
    clip = {T(factor / scale), T(norm), T(scale), T(0)};
  }
}
template void guard_step<float>(RefCall<float>&);
template void guard_step<double>(RefCall<double>&);

namespace {
struct Guarded {
  double marked = 0, loss = 2.5, follows = 1, halted = 0;
  double scale = 0, good = 0;  ///< scale 0: the loss is not scaled
  double max_norm = 1;
};
OpCase guarded(std::string name, const Guarded& g) {
  return {.name = std::move(name),
          .inputs = {{.shape = {1, 4}},
                     {.shape = {1, 1}},
                     {.shape = {1, 4}},
                     {.shape = {1, 1}},
                     {.shape = {1, 4}, .present = g.scale > 0}},
          .fill =
              [=](auto& in, Philox&) {
                in[0].f = {g.marked != 0 ? 0.0 : 0.5, 3.5 * std::max(g.scale, 1.0), 0, g.marked};
                in[1].f = {g.loss};
                in[2].f = {g.max_norm, g.follows, 2000, 0};
                in[3].f = {g.halted};
                in[4].f = {g.scale, g.good, 0, 0};
              },
          .gradient = false};
}
}  // namespace

std::vector<OpCase> guard_step_cases() {
  return {guarded("good", {}),
          guarded("gradient_marked", {.marked = 1}),
          guarded("loss_nan", {.loss = NAN}),
          guarded("loss_infinite", {.loss = -INFINITY, .follows = 0}),
          guarded("follows_halted", {.halted = 1}),
          guarded("starts_anew", {.follows = 0, .halted = 1}),
          guarded("scaled", {.scale = 65536, .good = 7}),
          guarded("scaled_unclipped", {.scale = 1024, .max_norm = 0}),
          guarded("scaled_overflow", {.marked = 1, .scale = 65536, .good = 12}),
          guarded("scaled_loss_infinite", {.loss = INFINITY, .scale = 4}),
          guarded("scaled_nothing_left", {.marked = 1, .scale = 1, .good = 3}),
          guarded("scaled_grows", {.scale = 2048, .good = 1999}),
          guarded("scaled_grows_no_further", {.scale = 0x1p24, .good = 1999}),
          guarded("scaled_follows_halted", {.halted = 1, .scale = 1024, .good = 5})};
}

}  // namespace fabula::reference
