#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void layer_norm(RefCall<T>& call) {
  const auto &x = *call.in[0], &weight = *call.in[1], &bias = *call.in[2];
  auto &y = *call.out[0], &stats = *call.out[1];
  const double columns = static_cast<double>(x.shape.cols);
  for (std::int64_t n = 0; n < x.shape.rows; ++n) {
    double mean = 0, variance = 0;
    for (std::int64_t c = 0; c < x.shape.cols; ++c) mean += x.at(n, c) / columns;
    for (std::int64_t c = 0; c < x.shape.cols; ++c) variance += (x.at(n, c) - mean) * (x.at(n, c) - mean) / columns;
    const double rstd = 1 / std::sqrt(variance + call.attrs.get("eps"));
    for (std::int64_t c = 0; c < x.shape.cols; ++c) {
      y.at(n, c) = static_cast<T>((x.at(n, c) - mean) * rstd * weight.at(0, c) + bias.at(0, c));
    }
    stats.at(n, 0) = static_cast<T>(mean);
    stats.at(n, 1) = static_cast<T>(rstd);
  }
}
template void layer_norm<float>(RefCall<float>&);
template void layer_norm<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t rows, std::int64_t columns) {
  return {.name = std::move(name),
          .attrs = {{"eps", 1e-5}},
          .inputs = {{.shape = {rows, columns}}, {.shape = {1, columns}}, {.shape = {1, columns}}},
          .relative = 4e-6};
}
}  // namespace

std::vector<OpCase> layer_norm_cases() {
  std::vector<OpCase> cases{sized("odd_7x33", 7, 33), sized("two_columns", 5, 2), sized("even_130x256", 130, 256)};
  cases.push_back(sized("one", 1, 1));           // x is its own mean: y is the bias, and the gradient of x is zero
  cases.push_back(sized("offset_9x65", 9, 65));  // a mean far from zero, where E[x^2] - E[x]^2 would cancel
  cases.back().fill = [](auto& in, Philox&) {
    for (auto& v : in[0].f) v += 100;
  };
  cases.back().relative = 2e-5;
  cases.back().gradient = false;
  cases.push_back(sized("constant_rows", 3, 20));
  cases.back().fill = [](auto& in, Philox&) {
    for (auto& v : in[0].f) v = 0.5;
  };
  cases.back().gradient = false;
  cases.push_back(sized("wide_3x8191", 3, 8191));
  cases.back().gradient = false;
  cases.push_back(sized("tall_3001x12", 3001, 12));
  cases.back().gradient = false;
  return cases;
}

}  // namespace fabula::reference
