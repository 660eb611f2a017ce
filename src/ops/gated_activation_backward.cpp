#include "graph/sized_case.hpp"
#include "ops/elementwise.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef gated_activation_backward;
const OpDef gated_activation_backward{
    .name = "gated_activation_backward",
    .formula = "d_gate = d_y up silu'(gate), d_up = d_y silu(gate)",
    .inputs = {"gate", "up", "d_y"},
    .infer =
        [](InferCall& call) {
          call.require(call.in(0) == call.in(1) && call.in(0) == call.in(2) && call.dtype(0) == call.dtype(1) &&
                           call.dtype(0) == call.dtype(2),
                       "gate, up and d_y have one shape and type");
          call.output(call.in(0));
          call.output(call.in(0));
        },
    .lower =
        [](LowerCall& call) {
          lower_flat(call, "gated_activation_backward",
                     {call.input(0), call.input(1), call.input(2), call.output(0), call.output(1)}, call.in(0));
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 12.0 * double(node.in(0).count()), .bytes = 5.0 * double(node.in(0).bytes())};
        },
    .in_place = {{0, 2}, {1, 1}, {0, 0}, {1, 0}},
    .half = {"gate", "up", "d_y"},
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
