#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void scale_by(RefCall<T>& call) {
  const auto& x = call.in[0]->f;
  const double s = call.in[1]->f[0];
  for (std::size_t i = 0; i < x.size(); ++i) call.out[0]->f[i] = static_cast<T>(x[i] * s);
}
template void scale_by<float>(RefCall<float>&);
template void scale_by<double>(RefCall<double>&);

std::vector<OpCase> scale_by_cases() {
  OpCase infinite{.name = "infinite_3x7",  // the padding stays zero
                  .inputs = {{.shape = {3, 7}}, {.shape = {1, 1}}},
                  .fill = [](auto& in, Philox&) { in[1].f[0] = INFINITY; }};
  return {{.name = "odd_130x33", .inputs = {{.shape = {130, 33}}, {.shape = {1, 1}}}},
          {.name = "one", .inputs = {{.shape = {1, 1}}, {.shape = {1, 1}}}},
          infinite};
}

}  // namespace fabula::reference
