#include "ops/reduction.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
struct Push {
  std::uint32_t rows, columns;
  float eps;
};

void infer(InferCall& call) {
  const Shape row{1, call.in(0).cols};
  call.require(call.in(1) == row && call.in(2) == row, "weight and bias are [1, D] for x [N, D]");
  call.require(call.dtype(1) == DType::kF32 && call.dtype(2) == DType::kF32, "weight and bias are fp32");
  call.require(call.attrs().get("eps") > 0, "eps is above zero");
  call.output(call.in(0));
  call.output({call.in(0).rows, 2});
}

constexpr std::int64_t kMostHeld = 16;  // vec4s of a row that an invocation keeps in registers

void lower(LowerCall& call) {
  const std::int64_t width = call.in(0).ld() / 4;
  const bool subgroup = call.variant() == kSubgroup;
  const std::uint32_t subgroup_size = subgroup ? reduction_subgroup_size(call.profile()) : 0;
  const ReductionShape shape =
      subgroup ? subgroup_reduction_shape(subgroup_size, width) : reduction_shape(call.variant(), width);
  const std::int64_t held = shape.held(width);
  for (const RowBlock& block : call.row_blocks({call.input(0), call.output(0), call.output(1)})) {
    Launch launch{.shader = subgroup ? "layer_norm_subgroup" : "layer_norm",
                  .constants = shape.constants(),
                  .subgroup_size = subgroup_size,
                  .bindings = {{call.input(0), block.begin, block.end},
                               call.input(1),
                               call.input(2),
                               {call.output(0), block.begin, block.end},
                               {call.output(1), block.begin, block.end}},
                  .groups = LowerCall::grid((block.size() + shape.rows() - 1) / shape.rows())};
    launch.constants.push_back(shape.lanes > 1 && held <= kMostHeld ? static_cast<std::uint32_t>(held) : 0);
    call.dispatch(launch, Push{static_cast<std::uint32_t>(block.size()), static_cast<std::uint32_t>(call.in(0).cols),
                               static_cast<float>(call.attrs().get("eps"))});
  }
}

void grad(GradCall& call) {
  // The residual stream goes around the norm: its gradient comes first and is added here.
  const Value around = call.take_gradient(0);
  const std::vector<Value> d =
      call.op("layer_norm_backward", {call.input(0), call.input(1), call.output(1), call.d_output(), around});
  for (std::size_t i = 0; i < 3; ++i) call.add_gradient(i, d[i]);
}
}  // namespace

extern const OpDef layer_norm;
const OpDef layer_norm{
    .name = "layer_norm",
    .formula = "y = (x - mean) rstd weight + bias, rstd = 1 / sqrt(variance + eps); stats [N, 2] = {mean, rstd}",
    .inputs = {"x", "weight", "bias"},
    .attrs = {"eps"},
    .infer = infer,
    .lower = lower,
    .grad = grad,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 8.0 * double(node.in(0).count()), .bytes = 2.0 * double(node.in(0).bytes())};
        },
    .variants =
        [](const NodeView& node, const vk::DeviceProfile& profile) {
          return row_reduction_variants(node, profile, node.in(0).ld() / 4, kMostHeld);
        },
    .half = {"x"},
    .cheap_to_recompute = true,
};

}  // namespace fabula::ops
