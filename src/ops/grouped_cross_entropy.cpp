#include "base/fail.hpp"
#include "base/group_plan.hpp"
#include "ops/row_lanes.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void infer_grouped_cross_entropy(InferCall& call) {
  const Shape u = call.in(0), scale = call.in(1), row{1, u.rows};
  call.require(scale.cols == u.cols && call.in(2) == scale, "scale and shift are [groups, columns of u]");
  call.require(call.in(3) == Shape{1, 4 * u.rows} && call.dtype(3) == DType::kU32, "targets is [1, 4 rows of u], u32");
  if (call.has_input(4)) {
    const Shape plan{1, GroupPlanLayout(u.rows, scale.rows).words};
    call.require(call.in(4) == plan && call.dtype(4) == DType::kU32,
                 "plan is a group plan for these positions and groups");
  }
  for (int i = 0; i < 3; ++i) call.output(row);
}

void lower_grouped_cross_entropy(LowerCall& call) {
  const Shape u = call.in(0), scale = call.in(1);
  const RowLanes lanes = row_lanes(u.cols, call.variant());
  for (const RowBlock& rows : call.row_blocks({call.input(0)})) {
    for (const RowBlock& groups : call.row_blocks({call.input(1), call.input(2)})) {
      const struct {
        std::uint32_t rows, first_row, positions, slots, first_group, end_group, groups;
      } push{std::uint32_t(rows.size()),  std::uint32_t(rows.begin), std::uint32_t(u.rows),    std::uint32_t(u.cols),
             std::uint32_t(groups.begin), std::uint32_t(groups.end), std::uint32_t(scale.rows)};
      call.dispatch(Launch{.shader = "grouped_cross_entropy",
                           .constants = lanes.constants(),
                           .bindings = {Window(call.input(0), rows.begin, rows.end),
                                        Window(call.input(1), groups.begin, groups.end),
                                        Window(call.input(2), groups.begin, groups.end), call.input(3), call.output(0),
                                        call.output(1), call.output(2)},
                           .groups = lanes.groups(rows.size())},
                    push);
    }
  }
}

void grad_grouped_cross_entropy(GradCall& call) {
  if (call.d_output(1) || call.d_output(2)) {
    fail(ErrorCode::kUnsupported, "{}: only the loss of grouped_cross_entropy has a gradient", call.label());
  }
  if (!call.has_input(4)) {
    fail(ErrorCode::kInvalidArgument, "{}: the gradient of grouped_cross_entropy needs its input plan", call.label());
  }
  const std::vector<Value> d =
      call.op("grouped_cross_entropy_backward",
              {call.input(0), call.input(1), call.input(2), call.input(4), call.output(1), call.d_output(0)});
  for (std::size_t i = 0; i < 3; ++i) call.add_gradient(i, d[i]);
}
}  // namespace

extern const OpDef grouped_cross_entropy;
const OpDef grouped_cross_entropy{
    .name = "grouped_cross_entropy",
    .formula =
        "loss[n] = log_sum_exp[n] - z[n, slot[n]], z = scale[g] u + shift[g] over the real slots of the group g of n",
    .inputs = {"u", "scale", "shift", "targets", "plan?"},
    .infer = infer_grouped_cross_entropy,
    .lower = lower_grouped_cross_entropy,
    .grad = grad_grouped_cross_entropy,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 8.0 * double(node.in(0).count()),
                      .bytes = double(node.in(0).bytes() + 2 * node.in(1).bytes())};
        },
    .variants = [](const NodeView& node,
                   const vk::DeviceProfile& profile) { return row_variants(node.in(0), profile); },
};

}  // namespace fabula::ops
