#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void layer_norm_backward_params(RefCall<T>& call) {
  const auto &x = *call.in[0], &stats = *call.in[1], &d_y = *call.in[2];
  auto &d_weight = *call.out[0], &d_bias = *call.out[1];
  for (std::int64_t c = 0; c < x.shape.cols; ++c) {
    double weight = 0, bias = 0;
    for (std::int64_t n = 0; n < x.shape.rows; ++n) {
      weight += static_cast<double>(d_y.at(n, c)) * (x.at(n, c) - stats.at(n, 0)) * stats.at(n, 1);
      bias += d_y.at(n, c);
    }
    d_weight.at(0, c) = static_cast<T>(weight);
    d_bias.at(0, c) = static_cast<T>(bias);
  }
}
template void layer_norm_backward_params<float>(RefCall<float>&);
template void layer_norm_backward_params<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t rows, std::int64_t columns) {
  return {.name = std::move(name),
          .inputs = {{.shape = {rows, columns}}, {.shape = {rows, 2}}, {.shape = {rows, columns}}},
          .relative = 4e-6};
}
}  // namespace

std::vector<OpCase> layer_norm_backward_params_cases() {
  return {sized("odd_7x33", 7, 33), sized("one", 1, 1), sized("chunks_65x18", 65, 18), sized("tall_3001x7", 3001, 7),
          sized("wide_40x1001", 40, 1001)};
}

}  // namespace fabula::reference
