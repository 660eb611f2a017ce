#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace fabula::convert {

/// Rows behind a narrow projection of the hidden vector: logits up (down h) + bias.
struct NarrowRows {
  std::vector<float> down;  ///< [r, D]
  std::vector<float> up;    ///< [n, r]
  std::vector<float> bias;  ///< [n]
};

/// What stands for the logits W h + b of one softmax.
struct WideRows {
  std::int64_t hidden = 0;            ///< D
  std::span<const float> weight;      ///< [n, D]
  std::span<const float> bias;        ///< [n]; empty: none
  std::span<const double> of_tokens;  ///< [n] how much each counts
};

/// The projection to `rank` numbers (at most D) that loses least of the logits, by squares: a truncated singular value
/// decomposition of the rows, a token weighing of_tokens, in the hidden vectors' own measure, `positions` [N, D]
/// weighing `of_positions` [N]. What is the same for all tokens changes no softmax, and is left out; at the mean hidden
/// vector nothing else is lost.
NarrowRows narrow_rows(const WideRows& rows, std::int64_t rank, std::span<const float> positions,
                       std::span<const double> of_positions);

}  // namespace fabula::convert
