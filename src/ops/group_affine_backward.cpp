#include "ops/group_sums.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef group_affine_backward;
const OpDef group_affine_backward{
    .name = "group_affine_backward",
    .formula =
        "d_u = d_z scale[g]; d_scale[g] = sum d_z u, d_shift[g] = sum d_z; over the real slots of the group g of n",
    .inputs = {"u", "scale", "plan", "d_z"},
    .infer =
        [](InferCall& call) {
          const Shape u = call.in(0), scale = call.in(1);
          const Shape plan{1, GroupPlanLayout(u.rows, scale.rows).words};
          call.require(scale.cols == u.cols, "scale is [groups, columns of u]");
          call.require(call.in(2) == plan && call.dtype(2) == DType::kU32,
                       "plan is a group plan for these positions and groups");
          call.require(call.in(3) == u, "d_z has the shape of u");
          call.output(u);
          call.output(scale);
          call.output(scale);
        },
    .lower =
        [](LowerCall& call) {
          lower_group_sums(
              call,
              {.shader = "group_affine_backward", .plan = call.input(2), .by_row = call.input(3), .by_group = {}});
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 4.0 * double(node.in(0).count()),
                      .bytes = 3.0 * double(node.in(0).bytes()) + 3.0 * double(node.in(1).bytes())};
        },
    .scratch = [](const NodeView& node, const vk::DeviceProfile& profile,
                  std::string_view) { return group_sums_scratch(node, profile); },
    .in_place = {{0, 0}, {0, 3}},
};

}  // namespace fabula::ops
