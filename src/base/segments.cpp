#include "base/segments.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace fabula {

std::int64_t SegmentCapacity::chunks() const {
  return std::min(positions, std::min(positions, keys) + positions / kSegmentChunk);
}
std::int64_t SegmentCapacity::merges() const {
  return std::min(keys, positions / (kSegmentChunk + 1));
}
std::int64_t SegmentCapacity::partials() const {
  return 2 * positions / (kSegmentChunk + 1);
}

namespace {

/// Stable counting sort. Returns where each key's positions begin in `order`, and the end of the last key's.
std::vector<std::uint32_t> sort_positions(std::span<const std::uint32_t> keys, std::int64_t key_count,
                                          std::span<std::uint32_t> order) {
  const auto bucket = [&](std::uint32_t key) { return std::min<std::int64_t>(key, key_count); };
  std::vector<std::uint32_t> begin(static_cast<std::size_t>(key_count) + 2, 0);
  for (std::uint32_t key : keys) ++begin[static_cast<std::size_t>(bucket(key)) + 1];
  for (std::size_t k = 1; k < begin.size(); ++k) begin[k] += begin[k - 1];
  std::vector<std::uint32_t> next(begin.begin(), begin.end() - 1);
  for (std::size_t n = 0; n < keys.size(); ++n) {
    order[next[static_cast<std::size_t>(bucket(keys[n]))]++] = static_cast<std::uint32_t>(n);
  }
  return begin;
}

}  // namespace

void plan_segments(std::span<const std::uint32_t> keys, std::int64_t key_count, std::span<std::uint32_t> order,
                   std::span<std::uint32_t> segments) {
  const SegmentCapacity capacity{static_cast<std::int64_t>(keys.size()), key_count};
  if (key_count < 1 || key_count >= SegmentPlan::kNoPartial || capacity.words() > INT64_C(0xFFFFFFFF)) {
    fail(ErrorCode::kInvalidArgument, "segment plan: {} positions and {} keys cannot be numbered in 32 bits",
         keys.size(), key_count);
  }
  if (order.size() != keys.size() || static_cast<std::int64_t>(segments.size()) != capacity.words()) {
    fail(ErrorCode::kInvalidArgument,
         "segment plan of {} positions and {} keys: order has {} words, needs {}; segments has {}, needs {}",
         keys.size(), key_count, order.size(), keys.size(), segments.size(), capacity.words());
  }
  const std::vector<std::uint32_t> begin = sort_positions(keys, key_count, order);
  std::fill(segments.begin(), segments.end(), 0);
  std::uint32_t chunk_count = 0, merge_count = 0, partial_rows = 0;
  const auto put = [&](std::int64_t group, std::initializer_list<std::uint32_t> words) {
    std::copy(words.begin(), words.end(), segments.begin() + 4 * group);
  };
  for (std::uint32_t key = 0; key < static_cast<std::uint32_t>(key_count); ++key) {
    const std::uint32_t first = begin[key], end = begin[key + 1];
    if (first == end) continue;
    const std::uint32_t pieces = (end - first + kSegmentChunk - 1) / kSegmentChunk;
    if (pieces > 1) put(capacity.merge_begin() + merge_count++, {key, partial_rows, pieces, 0});
    for (std::uint32_t at = first; at < end; at += kSegmentChunk) {
      put(1 + chunk_count++,
          {key, at, std::min(kSegmentChunk, end - at), pieces > 1 ? partial_rows++ : SegmentPlan::kNoPartial});
    }
  }
  put(0, {chunk_count, merge_count, partial_rows, 0});
}

SegmentPlan plan_segments(std::span<const std::uint32_t> keys, std::int64_t key_count) {
  SegmentPlan plan;
  const SegmentCapacity capacity{static_cast<std::int64_t>(keys.size()), key_count};
  plan.order.resize(keys.size());
  if (key_count > 0 && key_count < SegmentPlan::kNoPartial)
    plan.segments.resize(static_cast<std::size_t>(capacity.words()));
  plan_segments(keys, key_count, plan.order, plan.segments);
  return plan;
}

}  // namespace fabula
