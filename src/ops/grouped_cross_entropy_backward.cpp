#include <algorithm>
#include <bit>

#include "base/group_plan.hpp"
#include "ops/row_lanes.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
GroupPlanLayout plan_layout(const NodeView& node) {
  return {node.in(0).rows, node.in(1).rows};
}

/// The chunks whose sums (d_shift and d_scale, [2, S] each) stand in scratch at a time: all, unless that is too much
/// memory.
std::int64_t chunks_a_round(const NodeView& node, const vk::DeviceProfile& profile) {
  constexpr std::uint64_t kScratchBytes = 32ull << 20;
  const std::uint64_t bytes = std::min(kScratchBytes, profile.limits.max_storage_range);
  const std::int64_t fit = static_cast<std::int64_t>(bytes) / (2 * node.in(1).ld() * 4);
  return std::clamp<std::int64_t>(fit, 1, std::max<std::int64_t>(plan_layout(node).chunks, 1));
}

void lower_chunks(LowerCall& call, std::int64_t first_chunk, std::int64_t chunks) {
  const std::int64_t stride4 = call.in(0).ld() / 4;
  const std::uint32_t width = std::bit_ceil(static_cast<std::uint32_t>(std::clamp<std::int64_t>(stride4, 8, 64)));
  const std::int64_t tiles = (stride4 + width - 1) / width;
  const Value u = call.input(0), scale = call.input(1), shift = call.input(2);
  for (const RowBlock& rows : call.row_blocks({u, call.output(0)})) {
    for (const RowBlock& groups : call.row_blocks({scale, shift})) {
      const struct {
        std::uint32_t first_row, end_row, first_group, end_group, first_chunk, chunks, entries, stride4, add;
      } push{std::uint32_t(rows.begin),
             std::uint32_t(rows.end),
             std::uint32_t(groups.begin),
             std::uint32_t(groups.end),
             std::uint32_t(first_chunk),
             std::uint32_t(chunks),
             std::uint32_t(plan_layout(call).entries),
             std::uint32_t(stride4),
             rows.begin > 0};
      call.dispatch(Launch{.shader = "grouped_cross_entropy_backward",
                           .constants = {width},
                           .bindings = {Window(u, rows.begin, rows.end), Window(scale, groups.begin, groups.end),
                                        Window(shift, groups.begin, groups.end), call.input(3), call.input(4),
                                        call.input(5), Window(call.output(0), rows.begin, rows.end), call.scratch(0)},
                           .groups = LowerCall::grid(chunks * tiles)},
                    push);
    }
  }
}

void lower_sums(LowerCall& call, std::int64_t first_chunk, std::int64_t chunks) {
  const std::int64_t stride4 = call.in(0).ld() / 4;
  for (const RowBlock& groups : call.row_blocks({call.output(1), call.output(2)})) {
    const struct {
      std::uint32_t first_group, groups, first_chunk, chunks, group_chunks, stride4, add;
    } push{std::uint32_t(groups.begin),
           std::uint32_t(groups.size()),
           std::uint32_t(first_chunk),
           std::uint32_t(chunks),
           std::uint32_t(plan_layout(call).group_chunks),
           std::uint32_t(stride4),
           first_chunk > 0};
    call.dispatch(Launch{.shader = "grouped_cross_entropy_backward_sum",
                         .bindings = {call.scratch(0), call.input(3), Window(call.output(1), groups.begin, groups.end),
                                      Window(call.output(2), groups.begin, groups.end)},
                         .groups = LowerCall::grid((groups.size() * stride4 + 63) / 64)},
                  push);
  }
}

void lower_grouped_cross_entropy_backward(LowerCall& call) {
  const std::int64_t all = plan_layout(call).chunks, round = chunks_a_round(call, call.profile());
  for (std::int64_t first = 0; first < all; first += round) {
    const std::int64_t chunks = std::min(round, all - first);
    lower_chunks(call, first, chunks);
    lower_sums(call, first, chunks);
  }
}
}  // namespace

extern const OpDef grouped_cross_entropy_backward;
const OpDef grouped_cross_entropy_backward{
    .name = "grouped_cross_entropy_backward",
    .formula =
        "d_z = (softmax(z) - onehot(slot)) d_loss; d_u = d_z scale[g]; d_scale[g] = sum d_z u, d_shift[g] = sum d_z",
    .inputs = {"u", "scale", "shift", "plan", "log_sum_exp", "d_loss"},
    .infer =
        [](InferCall& call) {
          const Shape u = call.in(0), scale = call.in(1), row{1, u.rows};
          const Shape plan{1, GroupPlanLayout(u.rows, scale.rows).words};
          call.require(scale.cols == u.cols && call.in(2) == scale, "scale and shift are [groups, columns of u]");
          call.require(call.in(3) == plan && call.dtype(3) == DType::kU32,
                       "plan is a group plan for these positions and groups");
          call.require(call.in(4) == row && call.in(5) == row, "log_sum_exp and d_loss are [1, rows of u]");
          call.output(u);
          call.output(scale);
          call.output(scale);
        },
    .lower = lower_grouped_cross_entropy_backward,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 11.0 * double(node.in(0).count()),
                      .bytes = 2.0 * double(node.in(0).bytes()) + 4.0 * double(node.in(1).bytes())};
        },
    .scratch =
        [](const NodeView& node, const vk::DeviceProfile& profile, std::string_view) {
          return std::vector<Shape>{{chunks_a_round(node, profile), 2 * node.in(1).ld()}};
        },
    .in_place = {{0, 0}},
};

}  // namespace fabula::ops
