#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "graph/reference.hpp"

namespace fabula::reference {

/// q, k, v of one attention, fused or apart, in double.
template <class T>
struct AttentionView {
  std::int64_t positions, sequences, heads, width, head_size, window;
  double scale;
  const graph::RefTensor<T>*q, *k, *v;
  std::int64_t k_column, v_column;

  AttentionView(const graph::Attrs& attrs, const graph::RefTensor<T>* q_, const graph::RefTensor<T>* k_,
                const graph::RefTensor<T>* v_)
      : sequences(attrs.integer("batch")), heads(attrs.integer("heads")), q(q_), k(k_ ? k_ : q_), v(v_ ? v_ : q_) {
    positions = q->shape.rows / sequences;
    width = k_ ? q->shape.cols : q->shape.cols / 3;
    head_size = width / heads;
    window = attrs.integer_or("window", 0);
    scale = attrs.integer_or("scaled", 1) ? 1 / std::sqrt(static_cast<double>(head_size)) : 1;
    k_column = k_ ? 0 : width;
    v_column = k_ ? 0 : 2 * width;
  }
  /// The first position that position i attends to.
  std::int64_t first_seen(std::int64_t i) const { return window > 0 ? std::max<std::int64_t>(0, i - window + 1) : 0; }
  double score(std::int64_t sequence, std::int64_t head, std::int64_t i, std::int64_t j) const {
    double sum = 0;
    for (std::int64_t c = head * head_size; c < (head + 1) * head_size; ++c) {
      sum += static_cast<double>(q->at(sequence * positions + i, c)) * k->at(sequence * positions + j, k_column + c);
    }
    return scale * sum;
  }
};

/// out [N, D] and log_sum_exp [N, H].
template <class T>
void attend(const AttentionView<T>& view, graph::RefTensor<T>& out, graph::RefTensor<T>& log_sum_exp) {
  std::vector<double> weights(static_cast<std::size_t>(view.positions));
  for (std::int64_t sequence = 0; sequence < view.sequences; ++sequence)
    for (std::int64_t head = 0; head < view.heads; ++head)
      for (std::int64_t i = 0; i < view.positions; ++i) {
        const std::int64_t begin = view.first_seen(i), row = sequence * view.positions + i;
        double top = -INFINITY, sum = 0;
        for (std::int64_t j = begin; j <= i; ++j)
          top = std::max(top, weights[static_cast<std::size_t>(j)] = view.score(sequence, head, i, j));
        for (std::int64_t j = begin; j <= i; ++j)
          sum += weights[static_cast<std::size_t>(j)] = std::exp(weights[static_cast<std::size_t>(j)] - top);
        log_sum_exp.at(row, head) = static_cast<T>(top + std::log(sum));
        for (std::int64_t c = head * view.head_size; c < (head + 1) * view.head_size; ++c) {
          double value = 0;
          for (std::int64_t j = begin; j <= i; ++j)
            value +=
                weights[static_cast<std::size_t>(j)] * view.v->at(sequence * view.positions + j, view.v_column + c);
          out.at(row, c) = static_cast<T>(value / sum);
        }
      }
}

/// A configuration in which attention and attention_backward are checked.
struct AttentionCase {
  const char* name;
  std::int64_t batch, positions, heads, head_size, window;
  bool scaled, fused;
  double q_factor = 1;  ///< of the drawn q: large scores
  bool gradient = false, large = false;
  graph::Shape shape() const { return {batch * positions, heads * head_size * (fused ? 3 : 1)}; }
  graph::Attrs attrs() const {
    return {
        {"batch", double(batch)}, {"heads", double(heads)}, {"window", double(window)}, {"scaled", scaled ? 1.0 : 0.0}};
  }
};

inline void scale_queries(const AttentionCase& c, graph::RefTensor<double>& q) {
  for (std::int64_t row = 0; row < q.shape.rows; ++row)
    for (std::int64_t col = 0; col < c.heads * c.head_size; ++col) q.at(row, col) *= c.q_factor;
}

inline graph::OpCase attention_case(const AttentionCase& c) {
  const bool large_scores =
      c.q_factor > 1;  // a score of 200 is known to 2e-5, and its exponential to that relative error
  return {.name = c.name,
          .attrs = c.attrs(),
          .inputs = {{.shape = c.shape()},
                     {.shape = c.shape(), .present = !c.fused},
                     {.shape = c.shape(), .present = !c.fused}},
          .fill = [c](auto& in, Philox&) { scale_queries(c, in[0]); },
          .relative = large_scores ? 2e-4 : 4e-6,
          .gradient = c.gradient,
          .large = c.large};
}

inline graph::OpCase attention_backward_case(const AttentionCase& c) {
  const bool large_scores = c.q_factor > 1;
  const graph::Shape out{c.batch * c.positions, c.heads * c.head_size}, log_sum_exp{out.rows, c.heads};
  return {.name = c.name,
          .attrs = c.attrs(),
          .inputs = {{.shape = c.shape()},
                     {.shape = c.shape(), .present = !c.fused},
                     {.shape = c.shape(), .present = !c.fused},
                     {.shape = out},
                     {.shape = log_sum_exp},
                     {.shape = out}},
          .fill =
              [c](auto& in, Philox&) {  // out and log_sum_exp are those of the forward pass
                scale_queries(c, in[0]);
                const auto attrs = c.attrs();
                attend<double>({attrs, &in[0], c.fused ? nullptr : &in[1], c.fused ? nullptr : &in[2]}, in[3], in[4]);
              },
          .relative = large_scores ? 2e-4 : 4e-6,
          .large = c.large};
}

/// One of a node's heads and window, for its types; of so many positions.
inline AttentionCase attention_like(const graph::Attrs& attrs, const graph::Shape& q, bool fused,
                                    std::int64_t positions) {
  const std::int64_t heads = attrs.integer("heads");
  return {.name = "sized",
          .batch = 1,
          .positions = std::min(positions, q.rows / attrs.integer("batch")),
          .heads = heads,
          .head_size = q.cols / (fused ? 3 : 1) / heads,
          .window = attrs.integer_or("window", 0),
          .scaled = attrs.integer_or("scaled", 1) != 0,
          .fused = fused};
}

inline std::vector<AttentionCase> attention_configurations() {
  return {
      {"one_position_one_column", 1, 1, 1, 1, 0, true, true, 1, true},
      {"odd_7x5_two_heads", 3, 7, 2, 5, 0, true, true, 1, true},
      {"apart_window_3", 2, 9, 3, 4, 3, false, false, 0.5, true},
      {"apart_odd_12", 2, 65, 1, 12, 64, true, false},
      {"window_1", 2, 33, 2, 16, 1, true, true, 1, true},
      {"gpt_neo_local", 2, 130, 2, 16, 64, false, false, 0.25},
      {"window_beyond_sequence", 1, 65, 3, 20, 1000, true, true},
      {"head_16", 2, 130, 2, 16, 0, true, true},
      {"head_32", 2, 65, 2, 32, 0, true, true},
      {"head_32_window_7_long", 1, 300, 1, 32, 7, true, true},
      {"head_64", 2, 70, 2, 64, 0, true, true},
      {"head_100", 1, 65, 1, 100, 0, true, true, 1, false, true},
      {"head_128", 1, 65, 2, 128, 40, true, true, 1, false, true},
      {"large_scores", 2, 130, 2, 16, 0, true, true, 60},
      {"long_5000", 1, 5000, 1, 4, 0, true, true, 1, false, true},
      {"many_sequences", 37, 5, 2, 16, 0, true, true},
  };
}

}  // namespace fabula::reference
