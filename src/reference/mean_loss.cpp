#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void mean_loss(RefCall<T>& call) {
  double sum = 0;
  for (T loss : call.in[0]->f) sum += loss;
  call.out[0]->f[0] = static_cast<T>(call.in[1]->f[0] * sum);
}
template void mean_loss<float>(RefCall<float>&);
template void mean_loss<double>(RefCall<double>&);

std::vector<OpCase> mean_loss_cases() {
  std::vector<OpCase> cases;
  for (const std::int64_t positions : {1, 77, 8192, 8197, 40961}) {
    cases.push_back({.name = "positions_" + std::to_string(positions),
                     .inputs = {{.shape = {1, positions}}, {.shape = {1, 4}}},
                     .fill =
                         [=](auto& in, Philox&) {
                           for (auto& loss : in[0].f) loss = loss * loss;
                           in[1].f[0] = 1.0 / double(positions);
                         },
                     .gradient = positions < 100});
  }
  const OpCase longest = cases.back();
  for (const std::size_t at : {0, 8196, 40960}) {
    OpCase non_finite = longest;
    non_finite.name = "non_finite_at_" + std::to_string(at);
    non_finite.fill = [at, fill = longest.fill](auto& in, Philox& random) {
      fill(in, random);
      in[0].f[at] = at == 0 ? INFINITY : NAN;
    };
    cases.push_back(non_finite);
  }
  return cases;
}

}  // namespace fabula::reference
