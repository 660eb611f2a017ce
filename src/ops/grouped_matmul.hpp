#pragma once
#include <algorithm>
#include <cstdint>

#include "base/ceil_div.hpp"
#include "base/fail.hpp"
#include "base/group_plan.hpp"
#include "ops/matmul_plan.hpp"

// What the grouped matrix products share: sizes, variants, and the bound on the windows of the weight gradient.
namespace fabula::ops {

/// z[n, s] = sum_k x[n, k] weight[rows[g S + s], k]: x [N, depth], weight [weight_rows, depth], rows [1, groups *
/// slots].
struct GroupedSize {
  std::int64_t positions, depth, slots, groups, weight_rows;
  bool ragged = false;  ///< z lies in the rounds of the plan
  GroupPlanLayout plan() const { return {positions, groups, ragged ? slots : 0}; }
  double flops() const { return 2.0 * double(positions) * double(slots) * double(depth); }
};

inline void require_extent(const graph::InferCall& call, std::int64_t extent, std::string_view what) {
  call.require(extent <= kMaxGroupedExtent, fmt::format("at most {} {}", kMaxGroupedExtent, what));
}

/// Kernels that can run a grouped product, best first: shuffles on a software driver whose subgroups have the 8 steps
/// of a round (with 4 lanes it is slower than the tile), else a tile in shared memory.
inline std::vector<std::string> grouped_variants(bool shuffle_fits, const vk::DeviceProfile& profile) {
  std::vector<std::string> names{std::string(kMatmulTile64)};
  if (profile.device_class == vk::DeviceClass::kSoftware && matmul_shuffle_lanes(profile) >= 8 && shuffle_fits)
    names.insert(names.begin(), std::string(kMatmulShuffle));
  return names;
}
inline std::vector<std::string> grouped_variants(const graph::NodeView& node, const vk::DeviceProfile& profile) {
  return grouped_variants(matmul_shuffle_fits(node, profile), profile);
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
  windows.length = std::max(windows.length, round_up(ceil_div(size.positions, most), 64));
  windows.count = size.positions / windows.length;
  return windows;
}
/// Those of a node's weight gradient. The shuffle kernel has none: a software driver has few cores to share a large
/// group between.
inline GroupedWindows grouped_windows(const GroupedSize& size, const vk::DeviceProfile& profile,
                                      std::string_view variant) {
  if (variant == kMatmulShuffle) return {};
  return grouped_windows(size, std::int64_t(std::min<std::uint64_t>(profile.limits.max_storage_range, INT64_MAX)));
}
inline std::vector<graph::Shape> grouped_window_sums(const GroupedSize& size, const GroupedWindows& windows) {
  if (windows.count == 0) return {};
  return {{windows.count * size.slots, size.depth}, {windows.count, size.slots}};
}

}  // namespace fabula::ops
