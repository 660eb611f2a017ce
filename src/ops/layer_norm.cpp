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
  call.require(call.attrs().get("eps") > 0, "eps is above zero");
  call.output(call.in(0));
  call.output({call.in(0).rows, 2});
}

void lower(LowerCall& call) {
  const Shape& x = call.in(0);
  const ReductionShape shape = reduction_shape(call.variant(), x.ld() / 4);
  for (const RowBlock& block : call.row_blocks({call.input(0), call.output(0), call.output(1)})) {
    call.dispatch({.shader = "layer_norm",
                   .constants = shape.constants(),
                   .bindings = {{call.input(0), block.begin, block.end},
                                call.input(1),
                                call.input(2),
                                {call.output(0), block.begin, block.end},
                                {call.output(1), block.begin, block.end}},
                   .groups = LowerCall::grid((block.size() + shape.rows() - 1) / shape.rows())},
                  Push{static_cast<std::uint32_t>(block.size()), static_cast<std::uint32_t>(x.cols),
                       static_cast<float>(call.attrs().get("eps"))});
  }
}

void grad(GradCall& call) {
  const Value x = call.input(0), stats = call.output(1), d_y = call.d_output();
  if (call.wanted(0)) call.add_gradient(0, call.op1("layer_norm_backward", {x, call.input(1), stats, d_y}));
  if (!call.wanted(1) && !call.wanted(2)) return;
  const std::vector<Value> params = call.op("layer_norm_backward_params", {x, stats, d_y});
  call.add_gradient(1, params[0]);
  call.add_gradient(2, params[1]);
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
    .variants = reduction_variants,
    .cheap_to_recompute = true,
};

}  // namespace fabula::ops
