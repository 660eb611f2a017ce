#include "graph/sized_case.hpp"
#include "ops/norm_forward.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void infer(InferCall& call) {
  call.require(call.in(1) == Shape{1, call.in(0).cols}, "weight is [1, D] for x [N, D]");
  call.require(call.dtype(1) == DType::kF32, "weight is fp32");
  call.require(call.attrs().get("eps") > 0, "eps is above zero");
  call.output(call.in(0));
  call.output({call.in(0).rows, 1});
}

void grad(GradCall& call) {
  // The residual stream goes around the norm: its gradient comes first and is added here.
  const Value around = call.take_gradient(0);
  const std::vector<Value> d =
      call.op("rms_norm_backward", {call.input(0), call.input(1), call.output(1), call.d_output(), around});
  for (std::size_t i = 0; i < 2; ++i) call.add_gradient(i, d[i]);
}
}  // namespace

extern const OpDef rms_norm;
const OpDef rms_norm{
    .name = "rms_norm",
    .formula = "y = x rstd weight, rstd = 1 / sqrt(mean(x^2) + eps); stats [N, 1] = rstd",
    .inputs = {"x", "weight"},
    .attrs = {"eps"},
    .infer = infer,
    .lower = [](LowerCall& call) { lower_norm(call, "rms_norm"); },
    .grad = grad,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 4.0 * double(node.in(0).count()), .bytes = 2.0 * double(node.in(0).bytes())};
        },
    .variants = norm_variants,
    .half = {"x"},
    .cheap_to_recompute = true,
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
