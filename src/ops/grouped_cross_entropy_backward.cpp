#include "ops/group_sums.hpp"

namespace fabula::ops {
using namespace graph;

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
    .lower =
        [](LowerCall& call) {
          lower_group_sums(call, {.shader = "grouped_cross_entropy_backward",
                                  .plan = call.input(3),
                                  .by_row = {},
                                  .by_group = call.input(2),
                                  .whole = {call.input(4), call.input(5)}});
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 11.0 * double(node.in(0).count()),
                      .bytes = 2.0 * double(node.in(0).bytes()) + 4.0 * double(node.in(1).bytes())};
        },
    .scratch = [](const NodeView& node, const vk::DeviceProfile& profile,
                  std::string_view) { return group_sums_scratch(node, profile); },
    .in_place = {{0, 0}},
};

}  // namespace fabula::ops
