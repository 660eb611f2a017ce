#include "graph/reference.hpp"
#include "reference/softmax_row.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void log_softmax(RefCall<T>& call) {
  const auto& x = *call.in[0];
  for (std::int64_t r = 0; r < x.shape.rows; ++r) {
    const SoftmaxRow row = softmax_row(x.shape.cols, [&](std::int64_t c) { return x.at(r, c); });
    for (std::int64_t c = 0; c < x.shape.cols; ++c) call.out[0]->at(r, c) = static_cast<T>(row.log_p(x.at(r, c)));
  }
}
template void log_softmax<float>(RefCall<float>&);
template void log_softmax<double>(RefCall<double>&);

std::vector<OpCase> log_softmax_cases() {
  std::vector<OpCase> cases;
  for (const graph::Shape shape : {graph::Shape{1, 1}, {7, 33}, {70, 224}, {3, 50257}}) {
    cases.push_back({.name = std::to_string(shape.rows) + "x" + std::to_string(shape.cols),
                     .inputs = {{.shape = shape}},
                     .gradient = false});
  }
  OpCase non_finite = cases[2];
  non_finite.name = "non_finite_70x224";
  non_finite.fill = [](auto& in, Philox&) {
    in[0].at(0, 3) = NAN;
    in[0].at(31, 223) = INFINITY;
    in[0].at(69, 100) = -INFINITY;
  };
  cases.push_back(non_finite);
  return cases;
}

}  // namespace fabula::reference
