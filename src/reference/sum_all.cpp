#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void sum_all(RefCall<T>& call) {
  double sum = 0;
  for (T x : call.in[0]->f) sum += x;
  call.out[0]->f[0] = static_cast<T>(sum);
}
template void sum_all<float>(RefCall<float>&);
template void sum_all<double>(RefCall<double>&);

std::vector<OpCase> sum_all_cases() {
  std::vector<OpCase> cases;
  for (const graph::Shape shape : {graph::Shape{1, 1}, {1, 1027}, {1, 8192}, {1, 8193}, {1, 50001}, {131, 257}}) {
    cases.push_back(
        {.name = std::to_string(shape.rows) + "x" + std::to_string(shape.cols),
         .inputs = {{.shape = shape}},
         .absolute = 1e-6 * std::max(1.0, double(shape.count()) / 100),  // the terms cancel, their roundings do not
         .gradient = false});
  }
  return cases;
}

}  // namespace fabula::reference
