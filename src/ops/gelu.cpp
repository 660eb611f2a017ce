#include "graph/sized_case.hpp"
#include "ops/elementwise.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef gelu;
const OpDef gelu{
    .name = "gelu",
    .formula = "y = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))",
    .inputs = {"x"},
    .infer = [](InferCall& call) { call.output(call.in(0)); },
    .lower =
        [](LowerCall& call) {
          lower_flat(call, "gelu", {call.input(0), call.output()}, call.in(0));
        },
    .grad =
        [](GradCall& call) {
          call.add_gradient(0, call.op1("gelu_backward", {call.input(0), call.d_output()}));
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 12.0 * double(node.in(0).count()), .bytes = 2.0 * double(node.in(0).bytes())};
        },
    .half = {"x"},
    .cheap_to_recompute = true,
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
