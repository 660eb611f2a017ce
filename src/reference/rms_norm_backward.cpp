#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void rms_norm_backward(RefCall<T>& call) {
  const auto &x = *call.in[0], &weight = *call.in[1], &stats = *call.in[2], &d_y = *call.in[3];
  auto &d_x = *call.out[0], &d_weight = *call.out[1];
  const double columns = static_cast<double>(x.shape.cols);
  std::vector<double> weight_sum(static_cast<std::size_t>(x.shape.cols));
  for (std::int64_t n = 0; n < x.shape.rows; ++n) {
    const double scale = stats.at(n, 0);
    double mean_gh = 0;
    for (std::int64_t c = 0; c < x.shape.cols; ++c) {
      const double d = d_y.at(n, c), h = x.at(n, c) * scale;
      mean_gh += d * weight.at(0, c) * h / columns;
      weight_sum[static_cast<std::size_t>(c)] += d * h;
    }
    for (std::int64_t c = 0; c < x.shape.cols; ++c) {
      const double g = static_cast<double>(d_y.at(n, c)) * weight.at(0, c), h = x.at(n, c) * scale;
      const double residual = call.in[4] ? double(call.in[4]->at(n, c)) : 0.0;
      d_x.at(n, c) = static_cast<T>(residual + scale * (g - h * mean_gh));
    }
  }
  for (std::int64_t c = 0; c < x.shape.cols; ++c)
    d_weight.at(0, c) = static_cast<T>(weight_sum[static_cast<std::size_t>(c)]);
}
template void rms_norm_backward<float>(RefCall<float>&);
template void rms_norm_backward<double>(RefCall<double>&);

namespace {
/// Stats are any numbers here, not those of x: the kernel must use what it is given.
OpCase sized(std::string name, std::int64_t rows, std::int64_t columns, bool residual) {
  return {.name = std::move(name),
          .inputs = {{.shape = {rows, columns}},
                     {.shape = {1, columns}},
                     {.shape = {rows, 1}},
                     {.shape = {rows, columns}},
                     {.shape = {rows, columns}, .present = residual}},
          .relative = 4e-6};
}
}  // namespace

std::vector<OpCase> rms_norm_backward_cases() {
  std::vector<OpCase> cases{sized("odd_7x33", 7, 33, false),        sized("one", 1, 1, false),
                            sized("even_130x256", 130, 256, false), sized("wide_3x8191", 3, 8191, false),
                            sized("tall_3001x7", 3001, 7, false),   sized("wide_40x1001", 40, 1001, false),
                            sized("residual_65x18", 65, 18, true),  sized("residual_130x512", 130, 512, true),
                            sized("residual_3x4100", 3, 4100, true)};
  cases.push_back(sized("long_16385x40", 16385, 40, true));
  cases.back().large = true;
  return cases;
}

}  // namespace fabula::reference
