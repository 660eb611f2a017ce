#include "ops/embedding_lower.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef permute_rows;
const OpDef permute_rows{
    .name = "permute_rows",
    .formula = "y[i] = x[order[i]]; inverse undoes order",
    .inputs = {"x", "order", "inverse"},
    .infer =
        [](InferCall& call) {
          const Shape x = call.in(0), row{1, x.rows};
          for (const std::size_t i : {1, 2})
            call.require(call.in(i) == row && call.dtype(i) == DType::kU32,
                         "order and inverse are [1, rows of x], u32");
          call.output(x);
        },
    .lower = [](LowerCall& call) { lower_row_lookup(call, call.input(1), call.input(0), call.in(0).rows); },
    .grad =
        [](GradCall& call) {
          call.add_gradient(0, call.op1("permute_rows", {call.d_output(), call.input(2), call.input(1)}));
        },
    .half = {"x"},
};

}  // namespace fabula::ops
