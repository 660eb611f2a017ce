#include <limits>

#include "ops/row_lanes.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void infer_grouped_log_probs(InferCall& call) {
  const Shape a = call.in(0), u = call.in(1), scale = call.in(2);
  call.require(a.rows == u.rows, "a and u have the same rows");
  call.require(scale == Shape{a.cols, u.cols} && call.in(3) == scale,
               "scale and shift are [columns of a, columns of u]");
  call.require(call.in(4) == Shape{1, a.cols} && call.dtype(4) == DType::kU32, "sizes is [1, columns of a], u32");
  call.require(call.in(5).rows == 1 && call.dtype(5) == DType::kU32, "place is [1, V], u32");
  call.require(scale.count() <= std::numeric_limits<std::uint32_t>::max(), "groups times slots fit 32 bits");
  call.output({a.rows, call.in(5).cols});
}

/// log p(g) of every row, by the kernel of log_softmax.
void lower_group_level(LowerCall& call, const RowBlock& rows) {
  const RowLanes lanes = row_lanes(call.in(0).cols, kRowByWorkgroup);
  const std::array<std::uint32_t, 2> push{std::uint32_t(rows.size()), std::uint32_t(call.in(0).cols)};
  call.dispatch(
      Launch{.shader = "log_softmax",
             .constants = lanes.constants(),
             .bindings = {Window(call.input(0), rows.begin, rows.end), Window(call.scratch(0), rows.begin, rows.end)},
             .groups = lanes.groups(rows.size())},
      push);
}

/// log p(g) less the log of the slots' sum, for every row and every group of a block.
void lower_slot_sums(LowerCall& call, const RowBlock& rows, const RowBlock& groups) {
  const Shape scale = call.in(2);
  const RowLanes lanes = row_lanes(scale.cols, call.variant());
  const struct {
    std::uint32_t rows, slots, first_group, groups, all_groups;
  } push{std::uint32_t(rows.size()), std::uint32_t(scale.cols), std::uint32_t(groups.begin),
         std::uint32_t(groups.size()), std::uint32_t(scale.rows)};
  call.dispatch(
      Launch{.shader = "grouped_log_probs_group",
             .constants = lanes.constants(),
             .bindings = {Window(call.input(1), rows.begin, rows.end), Window(call.input(2), groups.begin, groups.end),
                          Window(call.input(3), groups.begin, groups.end), call.input(4),
                          Window(call.scratch(0), rows.begin, rows.end), Window(call.scratch(1), rows.begin, rows.end)},
             .groups = lanes.groups(rows.size() * groups.size())},
      push);
}

/// The joint log-probabilities of the tokens whose group is in a block.
void lower_tokens(LowerCall& call, const RowBlock& rows, const RowBlock& groups) {
  const Shape scale = call.in(2), out = call.out();
  const struct {
    std::uint32_t rows, slots, first_group, end_group, all_groups, tokens;
  } push{std::uint32_t(rows.size()), std::uint32_t(scale.cols), std::uint32_t(groups.begin),
         std::uint32_t(groups.end),  std::uint32_t(scale.rows), std::uint32_t(out.cols)};
  call.dispatch(
      Launch{.shader = "grouped_log_probs",
             .bindings = {Window(call.input(1), rows.begin, rows.end), Window(call.input(2), groups.begin, groups.end),
                          Window(call.input(3), groups.begin, groups.end), call.input(5),
                          Window(call.scratch(1), rows.begin, rows.end), Window(call.output(), rows.begin, rows.end)},
             .groups = LowerCall::grid((out.ld() + 127) / 128 * rows.size())},
      push);
}
}  // namespace

extern const OpDef grouped_log_probs;
const OpDef grouped_log_probs{
    .name = "grouped_log_probs",
    .formula =
        "y[r, v] = log softmax(a[r])[g] + log softmax(scale[g] u[r] + shift[g])[s], (g, s) = place[v]; real slots only",
    .inputs = {"a", "u", "scale", "shift", "sizes", "place"},
    .infer = infer_grouped_log_probs,
    .lower =
        [](LowerCall& call) {
          const auto row_blocks =
              call.row_blocks({call.input(0), call.input(1), call.scratch(0), call.scratch(1), call.output()});
          const auto group_blocks = call.row_blocks({call.input(2), call.input(3)});
          for (const RowBlock& rows : row_blocks) {
            lower_group_level(call, rows);
            for (const RowBlock& groups : group_blocks) lower_slot_sums(call, rows, groups);
            for (const RowBlock& groups : group_blocks) lower_tokens(call, rows, groups);
          }
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 10.0 * double(node.in(0).rows) * double(node.in(2).count()),
                      .bytes = 4.0 * double(node.in(2).bytes()) + double(node.out().bytes())};
        },
    .variants =
        [](const NodeView& node, const vk::DeviceProfile& profile) {
          return row_variants({node.in(0).count(), node.in(1).cols}, profile);
        },
    .scratch =
        [](const NodeView& node, const vk::DeviceProfile&, std::string_view) {
          return std::vector<Shape>{node.in(0), node.in(0)};
        },
};

}  // namespace fabula::ops
