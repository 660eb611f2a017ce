#include "graph/sized_case.hpp"
#include "ops/elementwise.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef gelu_backward;
const OpDef gelu_backward{
    .name = "gelu_backward",
    .formula = "d_x = d_y gelu'(x)",
    .inputs = {"x", "d_y"},
    .infer =
        [](InferCall& call) {
          call.require(call.in(0) == call.in(1) && call.dtype(0) == call.dtype(1), "x and d_y have one shape and type");
          call.output(call.in(0));
        },
    .lower =
        [](LowerCall& call) {
          lower_flat(call, "gelu_backward", {call.input(0), call.input(1), call.output()}, call.in(0));
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 20.0 * double(node.in(0).count()), .bytes = 3.0 * double(node.in(0).bytes())};
        },
    .in_place = {{0, 1}},
    .half = {"x", "d_y"},
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
