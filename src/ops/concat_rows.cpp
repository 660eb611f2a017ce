#include "ops/copy_rows.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void grad_concat_rows(GradCall& call) {
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < 2; begin += call.in(i++).rows) {
    if (!call.wanted(i)) continue;
    const Attrs rows{{"begin", double(begin)}, {"count", double(call.in(i).rows)}};
    call.add_gradient(i, call.op1("slice_rows", {call.d_output()}, rows));
  }
}
}  // namespace

extern const OpDef concat_rows;
const OpDef concat_rows{
    .name = "concat_rows",
    .formula = "y = the rows of a, then those of b",
    .inputs = {"a", "b"},
    .infer =
        [](InferCall& call) {
          call.require(call.in(0).cols == call.in(1).cols, "a and b have the same columns");
          call.output({call.in(0).rows + call.in(1).rows, call.in(0).cols});
        },
    .lower =
        [](LowerCall& call) {
          const std::int64_t first = call.in(0).rows;
          copy_rows(call, call.input(0), 0, call.output(), 0, first, call.out());
          copy_rows(call, call.input(1), 0, call.output(), first, call.in(1).rows, call.out());
        },
    .grad = grad_concat_rows,
};

}  // namespace fabula::ops
