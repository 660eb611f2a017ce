#include <algorithm>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void fill(RefCall<T>& call) {
  std::fill(call.out[0]->f.begin(), call.out[0]->f.end(), static_cast<T>(call.attrs.get("value")));
}
template void fill<float>(RefCall<float>&);
template void fill<double>(RefCall<double>&);

std::vector<OpCase> fill_cases() {
  return {
      {.name = "one", .attrs = {{"rows", 1}, {"cols", 1}, {"value", 1}}},
      {.name = "odd_70x33", .attrs = {{"rows", 70}, {"cols", 33}, {"value", -0.25}}},
  };
}

}  // namespace fabula::reference
