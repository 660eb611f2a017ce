#include "graph/sized_case.hpp"
#include "ops/elementwise.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef gated_activation;
const OpDef gated_activation{
    .name = "gated_activation",
    .formula = "y = silu(gate) up, silu(x) = x / (1 + exp(-x))",
    .inputs = {"gate", "up"},
    .infer =
        [](InferCall& call) {
          call.require(call.in(0) == call.in(1) && call.dtype(0) == call.dtype(1), "two values of one shape and type");
          call.output(call.in(0));
        },
    .lower =
        [](LowerCall& call) {
          lower_flat(call, "gated_activation", {call.input(0), call.input(1), call.output()}, call.in(0));
        },
    .grad =
        [](GradCall& call) {
          const std::vector<Value> d =
              call.op("gated_activation_backward", {call.input(0), call.input(1), call.d_output()});
          for (std::size_t i = 0; i < 2; ++i) call.add_gradient(i, d[i]);
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 6.0 * double(node.in(0).count()), .bytes = 3.0 * double(node.in(0).bytes())};
        },
    .in_place = {{0, 0}, {0, 1}},
    .half = {"gate", "up"},
    .cheap_to_recompute = true,
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
