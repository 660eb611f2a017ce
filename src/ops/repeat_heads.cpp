#include "ops/repeat_heads.hpp"
#include "graph/sized_case.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef repeat_heads;
const OpDef repeat_heads{
    .name = "repeat_heads",
    .formula = "y[n, head h] = x[n, head h / repeats], for keys and values that heads share",
    .inputs = {"x"},
    .attrs = {"heads", "repeats"},
    .infer = [](InferCall& call) { infer_repeat_heads(call, false); },
    .lower = [](LowerCall& call) { lower_repeat_heads(call, "repeat_heads", false); },
    .grad =
        [](GradCall& call) {
          call.add_gradient(0, call.op1("repeat_heads_backward", {call.d_output()}, call.attrs()));
        },
    .cost = cost_of_repeat_heads,
    .half = {"x"},
    .cheap_to_recompute = true,
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
