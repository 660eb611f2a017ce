#include "reference/attention.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;
using graph::RefTensor;

template <class T>
void attention_backward(RefCall<T>& call) {
  const AttentionView<T> view(call.attrs, call.in[0], call.in[1], call.in[2]);
  const RefTensor<T>&out = *call.in[3], &log_sum_exp = *call.in[4], &d_out = *call.in[5];
  const bool fused = call.in[1] == nullptr;
  const std::int64_t width = view.width;
  // d_q, d_k and d_v in one row, in double: they are sums over many pairs.
  RefTensor<double> d_qkv({out.shape.rows, 3 * width}, DType::kF32);
  for (std::int64_t sequence = 0; sequence < view.sequences; ++sequence)
    for (std::int64_t head = 0; head < view.heads; ++head)
      for (std::int64_t i = 0; i < view.positions; ++i) {
        const std::int64_t i_row = sequence * view.positions + i, first = head * view.head_size,
                           last = first + view.head_size;
        double delta = 0;
        for (std::int64_t c = first; c < last; ++c) delta += static_cast<double>(d_out.at(i_row, c)) * out.at(i_row, c);
        for (std::int64_t j = view.first_seen(i); j <= i; ++j) {
          const std::int64_t j_row = sequence * view.positions + j;
          const double p = std::exp(view.score(sequence, head, i, j) - log_sum_exp.at(i_row, head));
          double d_p = 0;
          for (std::int64_t c = first; c < last; ++c)
            d_p += static_cast<double>(d_out.at(i_row, c)) * view.v->at(j_row, view.v_column + c);
          const double d_s = view.scale * p * (d_p - delta);
          for (std::int64_t c = first; c < last; ++c) {
            d_qkv.at(i_row, c) += d_s * view.k->at(j_row, view.k_column + c);
            d_qkv.at(j_row, width + c) += d_s * view.q->at(i_row, c);
            d_qkv.at(j_row, 2 * width + c) += p * d_out.at(i_row, c);
          }
        }
      }
  for (std::int64_t row = 0; row < out.shape.rows; ++row)
    for (std::int64_t c = 0; c < 3 * width; ++c) {
      const auto value = static_cast<T>(d_qkv.at(row, c));
      if (fused)
        call.out[0]->at(row, c) = value;
      else
        call.out[static_cast<std::size_t>(c / width)]->at(row, c % width) = value;
    }
}
template void attention_backward<float>(RefCall<float>&);
template void attention_backward<double>(RefCall<double>&);

std::vector<OpCase> attention_backward_cases() {
  std::vector<OpCase> cases;
  for (const AttentionCase& c : attention_configurations()) cases.push_back(attention_backward_case(c));
  return cases;
}

}  // namespace fabula::reference
