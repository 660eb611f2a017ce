#include "graph/sized_case.hpp"
#include "ops/norm_forward.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void infer(InferCall& call) {
  const Shape row{1, call.in(0).cols};
  call.require(call.in(1) == row && call.in(2) == row, "weight and bias are [1, D] for x [N, D]");
  call.require(call.dtype(1) == DType::kF32 && call.dtype(2) == DType::kF32, "weight and bias are fp32");
  call.require(call.attrs().get("eps") > 0, "eps is above zero");
  call.output(call.in(0));
  call.output({call.in(0).rows, 2});
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
    .lower = [](LowerCall& call) { lower_norm(call, "layer_norm"); },
    .grad = grad,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 8.0 * double(node.in(0).count()), .bytes = 2.0 * double(node.in(0).bytes())};
        },
    .variants = norm_variants,
    .half = {"x"},
    .cheap_to_recompute = true,
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
