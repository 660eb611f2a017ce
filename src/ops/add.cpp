#include "graph/sized_case.hpp"
#include "ops/elementwise.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef add;
const OpDef add{
    .name = "add",
    .formula = "y = a + b",
    .inputs = {"a", "b"},
    .infer =
        [](InferCall& call) {
          call.require(call.in(0) == call.in(1) && call.dtype(0) == call.dtype(1), "two values of one shape and type");
          call.output(call.in(0));
        },
    .lower =
        [](LowerCall& call) {
          lower_flat(call, "add", {call.input(0), call.input(1), call.output()}, call.in(0));
        },
    .grad =
        [](GradCall& call) {
          call.add_gradient(0, call.d_output());
          call.add_gradient(1, call.d_output());
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = double(node.in(0).count()), .bytes = 3.0 * double(node.in(0).bytes())};
        },
    .in_place = {{0, 0}, {0, 1}},
    .half = {"a", "b"},
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
