#include "graph/sized_case.hpp"
#include "ops/elementwise.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef add_into;
const OpDef add_into{
    .name = "add_into",
    .formula = "into += x",
    .inputs = {"into", "x"},
    .infer = [](InferCall& call) { call.require(call.in(0) == call.in(1), "into and x have one shape"); },
    .lower =
        [](LowerCall& call) {
          lower_flat(call, "add_into", {call.input(0), call.input(1)}, call.in(0));
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = double(node.in(0).count()), .bytes = 3.0 * double(node.in(0).bytes())};
        },
    .mutates = {0},
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
