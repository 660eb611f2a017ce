#include <algorithm>
#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void row_max(RefCall<T>& call) {
  const auto& x = *call.in[0];
  for (std::int64_t r = 0; r < x.shape.rows; ++r) {
    T largest = x.at(r, 0);
    bool finite = true;
    for (std::int64_t c = 0; c < x.shape.cols; ++c) {
      finite = finite && std::isfinite(x.at(r, c));
      largest = std::max(largest, x.at(r, c));
    }
    call.out[0]->f[r] = finite ? largest : static_cast<T>(NAN);
  }
}
template void row_max<float>(RefCall<float>&);
template void row_max<double>(RefCall<double>&);

std::vector<OpCase> row_max_cases() {
  std::vector<OpCase> cases;
  for (const graph::Shape shape : {graph::Shape{1, 1}, {7, 33}, {130, 225}, {3, 50257}})
    cases.push_back(
        {.name = std::to_string(shape.rows) + "x" + std::to_string(shape.cols), .inputs = {{.shape = shape}}});
  OpCase negative = cases[1];  // padding is no entry
  negative.name = "negative_7x33";
  negative.fill = [](auto& in, Philox&) {
    for (double& v : in[0].f) v = -1 - std::abs(v);
  };
  cases.push_back(negative);
  OpCase non_finite = cases[2];
  non_finite.name = "non_finite_130x225";
  non_finite.fill = [](auto& in, Philox&) {
    in[0].at(0, 3) = NAN;
    in[0].at(31, 224) = INFINITY;
    in[0].at(129, 100) = -INFINITY;
  };
  cases.push_back(non_finite);
  return cases;
}

}  // namespace fabula::reference
