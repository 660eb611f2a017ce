#pragma once
#include <algorithm>
#include <cstdint>

#include "base/ceil_div.hpp"
#include "base/fail.hpp"
#include "base/group_plan.hpp"
#include "ops/matmul_plan.hpp"

// What the grouped matrix products share: sizes, kernels, and the bound on the windows of the weight gradient.
namespace fabula::ops {

/// z[n, s] = sum_k x[n, k] weight[rows[g S + s], k]: x [N, depth], weight [weight_rows, depth], rows [1, groups *
/// slots].
struct GroupedSize {
  std::int64_t positions, depth, slots, groups, weight_rows;
  GroupPlanLayout plan() const { return {positions, groups}; }
  double flops() const { return 2.0 * double(positions) * double(slots) * double(depth); }
};

inline void require_extent(const graph::InferCall& call, std::int64_t extent, std::string_view what) {
  call.require(extent <= kMaxGroupedExtent, fmt::format("at most {} {}", kMaxGroupedExtent, what));
}

/// The push constants of shaders/include/grouped_chunk.glsl.
struct GroupedPush {
  std::uint32_t first_position, end_position, first_row, end_row, weight_rows, chunks, entries, groups, slots, columns,
      columns4, slots4, has_shift;
};

inline GroupedPush grouped_push(const GroupedSize& size, const graph::RowBlock& positions,
                                const graph::RowBlock& rows) {
  const auto u32 = [](std::int64_t value) { return static_cast<std::uint32_t>(value); };
  return {.first_position = u32(positions.begin),
          .end_position = u32(positions.end),
          .first_row = u32(rows.begin),
          .end_row = u32(rows.end),
          .weight_rows = u32(size.weight_rows),
          .chunks = u32(size.plan().chunks),
          .entries = u32(size.plan().entries),
          .groups = u32(size.groups),
          .slots = u32(size.slots),
          .columns = u32(size.depth),
          .columns4 = u32((size.depth + 3) / 4),
          .slots4 = u32((size.slots + 3) / 4),
          .has_shift = 0};
}

/// Kernels that can run a grouped product, best first: shuffles on a software driver whose subgroups have the 8 steps
/// of a round (with 4 lanes it is slower than the tile), else a tile in shared memory.
inline std::vector<std::string> grouped_variants(const graph::NodeView& node, const vk::DeviceProfile& profile) {
  std::vector<std::string> names{std::string(kMatmulTile64)};
  if (profile.device_class == vk::DeviceClass::kSoftware && matmul_shuffle_lanes(profile) >= 8 &&
      matmul_shuffle_fits(node, profile))
    names.insert(names.begin(), std::string(kMatmulShuffle));
  return names;
}

/// A grouped product's kernel `op` in the variant at hand.
class GroupedKernel {
 public:
  GroupedKernel(const graph::LowerCall& call, std::string_view op, bool cut)
      : call_(call), shuffle_(call.variant() == kMatmulShuffle) {
    launch_.shader = op;
    launch_.constants = {cut};
    if (!shuffle_) return;
    launch_.shader += "_shuffle";
    launch_.subgroup_size = matmul_shuffle_lanes(call.profile());
    launch_.constants.push_back(launch_.subgroup_size);
  }
  bool shuffle() const { return shuffle_; }
  /// Of a workgroup's tile.
  std::int64_t tile_rows() const { return matmul_tile(call_.profile(), call_.variant()).m; }
  std::int64_t tile_columns() const { return matmul_tile(call_.profile(), call_.variant()).n; }
  /// Rows of an input that one launch can read; -1: any number.
  std::int64_t max_rows(std::size_t input) const {
    return shuffle_ ? texel_rows(call_.in(input), call_.profile()) : -1;
  }
  graph::Launch launch(std::vector<graph::Window> bindings, std::int64_t groups) const {
    graph::Launch launch = launch_;
    launch.bindings = std::move(bindings);
    launch.groups = graph::LowerCall::grid(groups);
    return launch;
  }

 private:
  const graph::LowerCall& call_;
  bool shuffle_;
  graph::Launch launch_;
};

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

}  // namespace fabula::ops
