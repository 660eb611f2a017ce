#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void rms_norm(RefCall<T>& call) {
  const auto &x = *call.in[0], &weight = *call.in[1];
  auto &y = *call.out[0], &stats = *call.out[1];
  const double columns = static_cast<double>(x.shape.cols);
  for (std::int64_t n = 0; n < x.shape.rows; ++n) {
    double square = 0;
    for (std::int64_t c = 0; c < x.shape.cols; ++c) square += static_cast<double>(x.at(n, c)) * x.at(n, c) / columns;
    const double scale = 1 / std::sqrt(square + call.attrs.get("eps"));
    for (std::int64_t c = 0; c < x.shape.cols; ++c) y.at(n, c) = static_cast<T>(x.at(n, c) * scale * weight.at(0, c));
    stats.at(n, 0) = static_cast<T>(scale);
  }
}
template void rms_norm<float>(RefCall<float>&);
template void rms_norm<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t rows, std::int64_t columns) {
  return {.name = std::move(name),
          .attrs = {{"eps", 1e-5}},
          .inputs = {{.shape = {rows, columns}}, {.shape = {1, columns}}},
          .relative = 4e-6};
}
}  // namespace

std::vector<OpCase> rms_norm_cases() {
  std::vector<OpCase> cases{sized("odd_7x33", 7, 33), sized("two_columns", 5, 2), sized("even_130x256", 130, 256),
                            sized("one", 1, 1)};
  cases.push_back(sized("zero_rows", 3, 20));  // only eps keeps the scale finite
  cases.back().fill = [](auto& in, Philox&) {
    for (auto& v : in[0].f) v = 0;
  };
  cases.back().gradient = false;               // of the order of eps^-1/2: differences are too coarse
  cases.push_back(sized("tiny_4x18", 4, 18));  // the mean square is of the size of eps
  cases.back().fill = [](auto& in, Philox&) {
    for (auto& v : in[0].f) v *= 3e-3;
  };
  cases.back().gradient = false;
  cases.push_back(sized("wide_3x8191", 3, 8191));
  cases.back().gradient = false;
  cases.push_back(sized("tall_3001x12", 3001, 12));
  cases.back().gradient = false;
  return cases;
}

}  // namespace fabula::reference
