#include <cmath>

#include "graph/reference.hpp"
#include "reference/counts.hpp"
#include "reference/softmax_row.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

template <class T>
void cross_entropy_backward(RefCall<T>& call) {
  const auto& logits = *call.in[0];
  for (std::int64_t n = 0; n < logits.shape.rows; ++n) {
    const std::uint32_t label = call.in[1]->u[n];
    if (label == 0xFFFFFFFFu) continue;
    const double log_sum_exp = call.in[2]->f[n], d_loss = call.in[3]->f[n];
    const std::int64_t columns = existing_columns(logits.shape.cols, call.in[4], n);
    for (std::int64_t c = 0; c < columns; ++c) {
      const double p = std::exp(logits.at(n, c) - log_sum_exp);
      call.out[0]->at(n, c) = static_cast<T>((p - (c == label ? 1 : 0)) * d_loss);
    }
  }
}
template void cross_entropy_backward<float>(RefCall<float>&);
template void cross_entropy_backward<double>(RefCall<double>&);

std::vector<OpCase> cross_entropy_backward_cases() {
  std::vector<OpCase> cases;
  for (const graph::Shape logits : {graph::Shape{7, 33}, {1, 1}, {130, 225}, {5, 50257}}) {
    const graph::Shape row{1, logits.rows};
    cases.push_back(
        {.name = std::to_string(logits.rows) + "x" + std::to_string(logits.cols),
         .inputs = {{.shape = logits}, {.shape = row, .dtype = DType::kU32}, {.shape = row}, {.shape = row}},
         .fill = [](auto& in, Philox& random) {
           const auto columns = in[0].shape.cols;
           for (std::int64_t n = 0; n < in[0].shape.rows; ++n) {
             in[1].u[n] = n % 5 == 3 ? 0xFFFFFFFFu : random.below(static_cast<std::uint32_t>(columns));
             in[2].f[n] = softmax_row(columns, [&](std::int64_t c) { return in[0].at(n, c); }).log_sum_exp;
           }
         }});
  }
  OpCase non_finite = cases[2];
  non_finite.name = "non_finite_130x225";
  non_finite.fill = [fill = non_finite.fill](auto& in, Philox& random) {
    fill(in, random);
    in[2].f[0] = NAN;  // as the forward pass marks a row
    in[2].f[3] = NAN;  // ignored: no gradient
    in[3].f[64] = INFINITY;
    in[3].f[129] = NAN;
  };
  cases.push_back(non_finite);
  for (const std::size_t base : {0, 2}) {
    OpCase counts = cases[base];
    counts.name = "counts_" + counts.name;
    counts.inputs.push_back({.shape = counts.inputs[1].shape, .dtype = DType::kU32});
    counts.fill = [fill = counts.fill](auto& in, Philox& random) {
      fill(in, random);
      fill_counts(in[1].u, in[4].u, in[0].shape.cols, random);
      for (std::int64_t n = 0; n < in[0].shape.rows; ++n)
        for (std::int64_t c = in[4].u[n]; c < in[0].shape.cols; ++c) in[0].at(n, c) = NAN;
    };
    cases.push_back(counts);
  }
  return cases;
}

}  // namespace fabula::reference
