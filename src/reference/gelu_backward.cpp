#include "graph/reference.hpp"
#include "reference/gelu.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void gelu_backward(RefCall<T>& call) {
  const auto &x = call.in[0]->f, &d_y = call.in[1]->f;
  auto& d_x = call.out[0]->f;
  for (std::size_t i = 0; i < x.size(); ++i) d_x[i] = static_cast<T>(d_y[i] * gelu_slope(x[i]));
}
template void gelu_backward<float>(RefCall<float>&);
template void gelu_backward<double>(RefCall<double>&);

std::vector<OpCase> gelu_backward_cases() {
  return {
      {.name = "odd_7x33", .inputs = {{.shape = {7, 33}}, {.shape = {7, 33}}}},
      {.name = "huge_arguments",
       .inputs = {{.shape = {3, 130}}, {.shape = {3, 130}}},
       .fill =
           [](auto& in, Philox&) {
             for (auto& v : in[0].f) v *= 30;
           }},
  };
}

}  // namespace fabula::reference
