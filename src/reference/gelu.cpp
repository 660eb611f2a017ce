#include "reference/gelu.hpp"

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void gelu(RefCall<T>& call) {
  const auto& x = call.in[0]->f;
  auto& y = call.out[0]->f;
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = static_cast<T>(gelu_of(x[i]));
}
template void gelu<float>(RefCall<float>&);
template void gelu<double>(RefCall<double>&);

std::vector<OpCase> gelu_cases() {
  return {
      {.name = "odd_7x33", .inputs = {{.shape = {7, 33}}}},
      {.name = "one", .inputs = {{.shape = {1, 1}}}},
      {.name = "huge_arguments",  // tanh's argument passes 89 here, where one driver's tanh is NaN
       .inputs = {{.shape = {3, 130}}},
       .fill =
           [](auto& in, Philox&) {
             for (auto& v : in[0].f) v *= 30;
           },
       .gradient = false},
      {.name = "tiny_arguments",
       .inputs = {{.shape = {5, 64}}},
       .fill =
           [](auto& in, Philox&) {
             for (auto& v : in[0].f) v *= 1e-3;
           }},
  };
}

}  // namespace fabula::reference
