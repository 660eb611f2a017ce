#include "compress/candidates.hpp"

#include <limits>

#include "base/fail.hpp"

namespace fabula::compress {
namespace {

constexpr std::int64_t kLanes = 16;

// sums = <x, c> - factor * penalty of `kLanes` entries.
template <int kDims>
inline void score_lanes(const float* x, const float* columns, std::int64_t stride, const float* penalties, float factor,
                        float* sums) {
  for (std::int64_t l = 0; l < kLanes; ++l) sums[l] = -factor * penalties[l];
  for (int d = 0; d < kDims; ++d) {
    const float* const column = columns + d * stride;
    for (std::int64_t l = 0; l < kLanes; ++l) sums[l] += x[d] * column[l];
  }
}

inline void score_lanes(std::int64_t dims, const float* x, const float* columns, std::int64_t stride,
                        const float* penalties, float factor, float* sums) {
  for (std::int64_t l = 0; l < kLanes; ++l) sums[l] = -factor * penalties[l];
  for (std::int64_t d = 0; d < dims; ++d) {
    const float* const column = columns + d * stride;
    for (std::int64_t l = 0; l < kLanes; ++l) sums[l] += x[d] * column[l];
  }
}

// score(first, sums) for every `kLanes` entries from `first` on; then the best of the lanes.
template <class Score>
Candidates::Best best_of(std::int64_t padded, const Score& score) {
  float best[kLanes], sums[kLanes];
  std::int32_t where[kLanes];
  for (std::int64_t l = 0; l < kLanes; ++l) {
    best[l] = -std::numeric_limits<float>::infinity();
    where[l] = static_cast<std::int32_t>(l);
  }
  for (std::int64_t first = 0; first < padded; first += kLanes) {
    score(first, sums);
    for (std::int64_t l = 0; l < kLanes; ++l) {
      const bool more = sums[l] > best[l];
      best[l] = more ? sums[l] : best[l];
      where[l] = more ? static_cast<std::int32_t>(first + l) : where[l];
    }
  }
  Candidates::Best result{where[0], best[0]};
  for (std::int64_t l = 1; l < kLanes; ++l)
    if (best[l] > result.score || (best[l] == result.score && where[l] < result.at)) result = {where[l], best[l]};
  return result;
}

}  // namespace

Candidates::Candidates(std::span<const float> entries, std::int64_t dims)
    : dims_(dims),
      count_(std::ssize(entries) / dims),
      padded_((count_ + kLanes - 1) / kLanes * kLanes),
      entries_(entries.begin(), entries.end()),
      columns_(static_cast<std::size_t>(dims * padded_)),
      half_squares_(static_cast<std::size_t>(padded_), std::numeric_limits<float>::infinity()) {
  ensure(count_ > 0 && count_ * dims == std::ssize(entries), "{} numbers of candidates of {}", entries.size(), dims);
  for (std::int64_t k = 0; k < count_; ++k) {
    float squares = 0;
    for (std::int64_t d = 0; d < dims; ++d) {
      const float x = entry(k)[d];
      columns_[static_cast<std::size_t>(d * padded_ + k)] = x;
      squares += x * x;
    }
    half_squares_[static_cast<std::size_t>(k)] = squares / 2;
  }
}

Candidates::Best Candidates::best(const float* x, const float* penalties, float factor) const {
  const float* const columns = columns_.data();
  if (dims_ == 8)
    return best_of(padded_, [&](std::int64_t first, float* sums) {
      score_lanes<8>(x, columns + first, padded_, penalties + first, factor, sums);
    });
  if (dims_ == 4)
    return best_of(padded_, [&](std::int64_t first, float* sums) {
      score_lanes<4>(x, columns + first, padded_, penalties + first, factor, sums);
    });
  return best_of(padded_, [&](std::int64_t first, float* sums) {
    score_lanes(dims_, x, columns + first, padded_, penalties + first, factor, sums);
  });
}

void Candidates::scores(const float* x, const float* penalties, float factor, float* out) const {
  for (std::int64_t first = 0; first < padded_; first += kLanes) {
    if (dims_ == 8)
      score_lanes<8>(x, columns_.data() + first, padded_, penalties + first, factor, out + first);
    else
      score_lanes(dims_, x, columns_.data() + first, padded_, penalties + first, factor, out + first);
  }
}

}  // namespace fabula::compress
