#pragma once
#include <algorithm>
#include <cstdint>

#include "base/group_plan.hpp"
#include "graph/op.hpp"

// What the grouped matrix products share: sizes, and the bound on one launch's windows.
namespace fabula::ops {

/// z[n, s] = sum_k x[n, k] weight[rows[g S + s], k]: x [N, depth], weight [weight_rows, depth], rows [1, groups *
/// slots].
struct GroupedSize {
  std::int64_t positions, depth, slots, groups, weight_rows;
  GroupPlanLayout plan() const { return {positions, groups}; }
  double flops() const { return 2.0 * double(positions) * double(slots) * double(depth); }
};

constexpr std::int64_t kGroupedTile = 64;  ///< rows and columns of a workgroup's tile
/// Positions of one batch, and slots of a group: a workgroup steps over either 16 at a time, in 16,384 iterations.
constexpr std::int64_t kGroupedMaxDepth = 1 << 18;

inline std::int64_t grouped_tiles(std::int64_t columns) {
  return (columns + kGroupedTile - 1) / kGroupedTile;
}

/// Windows over a plan's entries that the weight gradient may sum apart (shaders/grouped): at most 64 of 512 positions
/// or more, whose sums take at most 32 MiB and can be bound at once.
struct GroupedWindows {
  std::int64_t count = 0, length = 512;
};

inline GroupedWindows grouped_windows(const GroupedSize& size, std::int64_t max_storage_range) {
  const std::int64_t bytes = graph::Shape{size.slots, size.depth}.bytes();
  const std::int64_t most = std::min<std::int64_t>(64, std::min<std::int64_t>(32 << 20, max_storage_range) / bytes);
  GroupedWindows windows;
  if (most < 1) return windows;
  const std::int64_t needed = (size.positions + most - 1) / most;
  windows.length = std::max(windows.length, (needed + 63) / 64 * 64);
  windows.count = size.positions / windows.length;
  return windows;
}

}  // namespace fabula::ops
