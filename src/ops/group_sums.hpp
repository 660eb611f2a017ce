#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "base/group_plan.hpp"
#include "graph/op.hpp"

// Gradients of z = scale[g] u + shift[g] (shaders/heads/grouped_cross_entropy_backward.comp): node input 0 is u [N, S],
// input 1 scale [G, S]; outputs are d_u, d_scale, d_shift. Chunks of the group plan are summed into scratch 0, then the
// chunks of each group in order.
namespace fabula::ops {

/// What tells the ops of this kind apart.
struct GroupSums {
  std::string shader;
  graph::Value plan;
  graph::Value by_row, by_group;          ///< one more input with the rows of u, or of scale; absent: none
  std::vector<graph::Window> whole = {};  ///< further inputs, bound last
};

inline GroupPlanLayout group_sums_plan(const graph::NodeView& node) {
  return {node.in(0).rows, node.in(1).rows};
}

/// The chunks whose sums (d_shift and d_scale, [2, S] each) stand in scratch at a time: all, unless that is too much
/// memory.
inline std::int64_t group_sums_round(const graph::NodeView& node, const vk::DeviceProfile& profile) {
  constexpr std::uint64_t kScratchBytes = 32ull << 20;
  const std::uint64_t bytes = std::min(kScratchBytes, profile.limits.max_storage_range);
  const std::int64_t fit = static_cast<std::int64_t>(bytes) / (2 * node.in(1).row_bytes());
  return std::clamp<std::int64_t>(fit, 1, std::max<std::int64_t>(group_sums_plan(node).chunks, 1));
}

inline std::vector<graph::Shape> group_sums_scratch(const graph::NodeView& node, const vk::DeviceProfile& profile) {
  return {{group_sums_round(node, profile), 2 * node.in(1).ld()}};
}

inline void lower_group_chunks(graph::LowerCall& call, const GroupSums& sums, std::int64_t first_chunk,
                               std::int64_t chunks) {
  using graph::RowBlock, graph::Value, graph::Window;
  const std::int64_t stride4 = call.in(0).ld() / 4;
  const std::uint32_t width = std::bit_ceil(static_cast<std::uint32_t>(std::clamp<std::int64_t>(stride4, 8, 64)));
  const std::int64_t tiles = (stride4 + width - 1) / width;
  const Value u = call.input(0), scale = call.input(1);
  for (const RowBlock& rows : call.row_blocks({u, call.output(0), sums.by_row ? sums.by_row : u})) {
    for (const RowBlock& groups : call.row_blocks({scale, sums.by_group ? sums.by_group : scale})) {
      const struct {
        std::uint32_t first_row, end_row, first_group, end_group, first_chunk, chunks, entries, stride4, add;
      } push{std::uint32_t(rows.begin),
             std::uint32_t(rows.end),
             std::uint32_t(groups.begin),
             std::uint32_t(groups.end),
             std::uint32_t(first_chunk),
             std::uint32_t(chunks),
             std::uint32_t(group_sums_plan(call).entries),
             std::uint32_t(stride4),
             rows.begin > 0};
      graph::Launch launch{.shader = sums.shader,
                           .constants = {width},
                           .bindings = {Window(u, rows.begin, rows.end), Window(scale, groups.begin, groups.end),
                                        sums.plan, Window(call.output(0), rows.begin, rows.end), call.scratch(0)},
                           .groups = graph::LowerCall::grid(chunks * tiles)};
      if (sums.by_row) launch.bindings.emplace_back(sums.by_row, rows.begin, rows.end);
      if (sums.by_group) launch.bindings.emplace_back(sums.by_group, groups.begin, groups.end);
      launch.bindings.insert(launch.bindings.end(), sums.whole.begin(), sums.whole.end());
      call.dispatch(launch, push);
    }
  }
}

inline void lower_group_totals(graph::LowerCall& call, const GroupSums& sums, std::int64_t first_chunk,
                               std::int64_t chunks) {
  using graph::Window;
  const std::int64_t stride4 = call.in(0).ld() / 4;
  for (const graph::RowBlock& groups : call.row_blocks({call.output(1), call.output(2)})) {
    const struct {
      std::uint32_t first_group, groups, first_chunk, chunks, group_chunks, stride4, add;
    } push{std::uint32_t(groups.begin),
           std::uint32_t(groups.size()),
           std::uint32_t(first_chunk),
           std::uint32_t(chunks),
           std::uint32_t(group_sums_plan(call).group_chunks),
           std::uint32_t(stride4),
           first_chunk > 0};
    call.dispatch(
        graph::Launch{.shader = "grouped_cross_entropy_backward_sum",
                      .bindings = {call.scratch(0), sums.plan, Window(call.output(1), groups.begin, groups.end),
                                   Window(call.output(2), groups.begin, groups.end)},
                      .groups = graph::LowerCall::grid((groups.size() * stride4 + 63) / 64)},
        push);
  }
}

inline void lower_group_sums(graph::LowerCall& call, const GroupSums& sums) {
  const std::int64_t all = group_sums_plan(call).chunks, round = group_sums_round(call, call.profile());
  for (std::int64_t first = 0; first < all; first += round) {
    const std::int64_t chunks = std::min(round, all - first);
    lower_group_chunks(call, sums, first, chunks);
    lower_group_totals(call, sums, first, chunks);
  }
}

}  // namespace fabula::ops
