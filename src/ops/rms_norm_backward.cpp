#include "graph/sized_case.hpp"
#include "ops/norm_backward.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void infer(InferCall& call) {
  const Shape x = call.in(0);
  call.require(call.in(1) == Shape{1, x.cols} && call.in(2) == Shape{x.rows, 1} && call.in(3) == x,
               "x and d_y are [N, D], weight is [1, D], stats [N, 1]");
  call.require(!call.has_input(4) || call.in(4) == x, "d_residual has the shape of x");
  call.require(call.dtype(3) == x.dtype && (!call.has_input(4) || call.dtype(4) == x.dtype),
               "d_y and d_residual have the type of x");
  call.output(x);
  call.output({1, x.cols});
}
}  // namespace

extern const OpDef rms_norm_backward;
const OpDef rms_norm_backward{
    .name = "rms_norm_backward",
    .formula = "d_x = d_residual + rstd (g - h mean(g h)), g = d_y weight, h = x rstd; d_weight = sum_n d_y[n] h[n]",
    .inputs = {"x", "weight", "stats", "d_y", "d_residual?"},
    .infer = infer,
    .lower =
        [](LowerCall& call) {
          NormBackwardLowering(call, {"rms_norm_backward", 1}).lower();
        },
    .cost =
        [](const NodeView& node) {
          const double passes = node.has_input(4) ? 4 : 3;
          return Cost{.flops = 14.0 * double(node.in(0).count()), .bytes = passes * double(node.in(0).bytes())};
        },
    .variants =
        [](const NodeView& node, const vk::DeviceProfile& profile) {
          return row_reduction_variants(node, profile, norm_width(node), kMostHeldSubgroup);
        },
    .scratch = [](const NodeView& node, const vk::DeviceProfile&,
                  std::string_view variant) { return norm_scratch(node, variant, 1); },
    .in_place = {{0, 3}, {0, 4}},
    .half = {"x", "d_y", "d_residual"},
    .sized = sized_by_fewer_rows,
};

}  // namespace fabula::ops
