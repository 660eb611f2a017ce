#include "graph/sized_case.hpp"
#include "ops/repeat_heads.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef repeat_heads_backward;
const OpDef repeat_heads_backward{
    .name = "repeat_heads_backward",
    .formula = "d_x[n, head h] = sum over r of d_y[n, head h repeats + r]",
    .inputs = {"d_y"},
    .attrs = {"heads", "repeats"},
    .infer = [](InferCall& call) { infer_repeat_heads(call, true); },
    .lower = [](LowerCall& call) { lower_repeat_heads(call, "repeat_heads_backward", true); },
    .cost = cost_of_repeat_heads,
    .half = {"d_y"},
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
