#include "graph/reference.hpp"
#include "reference/silu.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void gated_activation_backward(RefCall<T>& call) {
  const auto &gate = call.in[0]->f, &up = call.in[1]->f, &d_y = call.in[2]->f;
  auto &d_gate = call.out[0]->f, &d_up = call.out[1]->f;
  for (std::size_t i = 0; i < d_y.size(); ++i) {
    d_gate[i] = static_cast<T>(double(d_y[i]) * up[i] * silu_slope(gate[i]));
    d_up[i] = static_cast<T>(d_y[i] * silu_of(gate[i]));
  }
}
template void gated_activation_backward<float>(RefCall<float>&);
template void gated_activation_backward<double>(RefCall<double>&);

std::vector<OpCase> gated_activation_backward_cases() {
  return {{.name = "odd_7x33", .inputs = {{.shape = {7, 33}}, {.shape = {7, 33}}, {.shape = {7, 33}}}},
          {.name = "one", .inputs = {{.shape = {1, 1}}, {.shape = {1, 1}}, {.shape = {1, 1}}}},
          {.name = "huge_arguments",
           .inputs = {{.shape = {3, 130}}, {.shape = {3, 130}}, {.shape = {3, 130}}},
           .fill = [](auto& in, Philox&) {
             for (auto& v : in[0].f) v *= 100;
           }}};
}

}  // namespace fabula::reference
