#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace fabula::compress {

/// Vectors to choose from, laid out so that many are compared at once.
class Candidates {
 public:
  /// entries [count, dims].
  Candidates(std::span<const float> entries, std::int64_t dims);

  std::int64_t count() const { return count_; }
  std::int64_t padded() const { return padded_; }  ///< count, to a whole number of lanes
  const float* entry(std::int64_t at) const { return entries_.data() + at * dims_; }
  /// |c|^2 / 2 of each, and infinite behind the last: penalties with which the best is the nearest. [padded]
  const std::vector<float>& half_squares() const { return half_squares_; }

  struct Best {
    std::int64_t at = 0;
    float score = 0;
  };
  /// The entry c of the largest <x, c> - factor * penalty, the first of equals; penalties are [padded], infinite behind
  /// the last.
  Best best(const float* x, const float* penalties, float factor) const;
  /// All of these. [padded]
  void scores(const float* x, const float* penalties, float factor, float* out) const;

 private:
  std::int64_t dims_, count_, padded_;
  std::vector<float> entries_, columns_;  // [count, dims]; [dims, padded]
  std::vector<float> half_squares_;
};

}  // namespace fabula::compress
