#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void add(RefCall<T>& call) {
  const auto &a = call.in[0]->f, &b = call.in[1]->f;
  auto& y = call.out[0]->f;
  for (std::size_t i = 0; i < a.size(); ++i) y[i] = static_cast<T>(double(a[i]) + double(b[i]));
}
template void add<float>(RefCall<float>&);
template void add<double>(RefCall<double>&);

std::vector<OpCase> add_cases() {
  return {
      {.name = "one", .inputs = {{.shape = {1, 1}}, {.shape = {1, 1}}}},
      {.name = "odd_7x33", .inputs = {{.shape = {7, 33}}, {.shape = {7, 33}}}},
      {.name = "blocks_300x130", .inputs = {{.shape = {300, 130}}, {.shape = {300, 130}}}, .gradient = false},
  };
}

}  // namespace fabula::reference
