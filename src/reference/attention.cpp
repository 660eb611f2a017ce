#include "reference/attention.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void attention(RefCall<T>& call) {
  attend<T>(AttentionView<T>(call.attrs, call.in[0], call.in[1], call.in[2]), *call.out[0], *call.out[1]);
}
template void attention<float>(RefCall<float>&);
template void attention<double>(RefCall<double>&);

std::vector<OpCase> attention_cases() {
  std::vector<OpCase> cases;
  for (const AttentionCase& c : attention_configurations()) {
    const bool large_scores =
        c.q_factor > 1;  // a score of 200 is known to 2e-5, and its exponential to that relative error
    cases.push_back({.name = c.name,
                     .attrs = c.attrs(),
                     .inputs = {{.shape = c.shape()},
                                {.shape = c.shape(), .present = !c.fused},
                                {.shape = c.shape(), .present = !c.fused}},
                     .fill =
                         [c](auto& in, Philox&) {
                           const std::int64_t width = c.heads * c.head_size;
                           for (std::int64_t row = 0; row < in[0].shape.rows; ++row)
                             for (std::int64_t col = 0; col < width; ++col) in[0].at(row, col) *= c.q_factor;
                         },
                     .relative = large_scores ? 2e-4 : 4e-6,
                     .gradient = c.gradient,
                     .large = c.large});
  }
  return cases;
}

}  // namespace fabula::reference
