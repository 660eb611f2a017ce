#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void layer_norm_backward(RefCall<T>& call) {
  const auto &x = *call.in[0], &weight = *call.in[1], &stats = *call.in[2], &d_y = *call.in[3];
  auto& d_x = *call.out[0];
  const double columns = static_cast<double>(x.shape.cols);
  for (std::int64_t n = 0; n < x.shape.rows; ++n) {
    const double mean = stats.at(n, 0), rstd = stats.at(n, 1);
    double mean_g = 0, mean_gh = 0;
    for (std::int64_t c = 0; c < x.shape.cols; ++c) {
      const double g = static_cast<double>(d_y.at(n, c)) * weight.at(0, c);
      mean_g += g / columns;
      mean_gh += g * (x.at(n, c) - mean) * rstd / columns;
    }
    for (std::int64_t c = 0; c < x.shape.cols; ++c) {
      const double g = static_cast<double>(d_y.at(n, c)) * weight.at(0, c), h = (x.at(n, c) - mean) * rstd;
      d_x.at(n, c) = static_cast<T>(rstd * (g - mean_g - h * mean_gh));
    }
  }
}
template void layer_norm_backward<float>(RefCall<float>&);
template void layer_norm_backward<double>(RefCall<double>&);

namespace {
/// Stats are any numbers here, not those of x: the kernel must use what it is given.
OpCase sized(std::string name, std::int64_t rows, std::int64_t columns) {
  return {
      .name = std::move(name),
      .inputs = {{.shape = {rows, columns}}, {.shape = {1, columns}}, {.shape = {rows, 2}}, {.shape = {rows, columns}}},
      .relative = 4e-6};
}
}  // namespace

std::vector<OpCase> layer_norm_backward_cases() {
  return {sized("odd_7x33", 7, 33), sized("one", 1, 1), sized("even_130x256", 130, 256), sized("wide_3x8191", 3, 8191),
          sized("tall_1001x6", 1001, 6)};
}

}  // namespace fabula::reference
