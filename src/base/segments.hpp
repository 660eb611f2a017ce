#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace fabula {

/// Most positions that one chunk of a segment plan holds: a frequent key's thousands of positions become many short
/// sums.
inline constexpr std::uint32_t kSegmentChunk = 64;

/// The room that a segment plan of `positions` keys, each meant to be below `keys`, takes at worst. Depends on these
/// two numbers alone, so that a graph built for one shape can hold every batch's plan.
struct SegmentCapacity {
  std::int64_t positions, keys;
  std::int64_t chunks() const;                               ///< min(positions, keys + positions / 64)
  std::int64_t merges() const;                               ///< keys that can have more than one chunk: positions / 65
  std::int64_t partials() const;                             ///< chunks of such keys: 2 positions / 65
  std::int64_t merge_begin() const { return 1 + chunks(); }  ///< in groups of 4 words
  std::int64_t words() const { return 4 * (merge_begin() + merges()); }  ///< of SegmentPlan::segments
};

/// Positions sorted by key, for sums over the positions of each key in a fixed order (embedding gradients, the groups
/// of a head).
///
/// `order` [positions]: positions by key, a key's positions rising. Positions whose key is `keys` or more belong to no
/// segment; they come last. `segments` [SegmentCapacity::words()], groups of 4 words:
///   0:                          {chunk count, merge count, partial rows, 0}
///   1 .. chunk count:           chunks by key {key, begin in order, length <= 64, partial row or kNoPartial}
///   merge_begin() ..:           keys with more than one chunk {key, first partial row, rows, 0}
/// the rest is zero. A key's only chunk is its sum (kNoPartial); the chunks of other keys are summed each into a row of
/// scratch, which a second stage adds up in order.
struct SegmentPlan {
  static constexpr std::uint32_t kNoPartial = 0xFFFFFFFF;
  std::vector<std::uint32_t> order, segments;
};

/// Throws kInvalidArgument when there are more positions or keys than 32-bit words can number.
SegmentPlan plan_segments(std::span<const std::uint32_t> keys, std::int64_t key_count);
/// The same into existing memory: `order` of keys.size() words, `segments` of SegmentCapacity{keys.size(),
/// key_count}.words(). Throws kInvalidArgument for other sizes.
void plan_segments(std::span<const std::uint32_t> keys, std::int64_t key_count, std::span<std::uint32_t> order,
                   std::span<std::uint32_t> segments);

}  // namespace fabula
