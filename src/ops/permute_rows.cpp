#include "graph/op.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
/// The look-up kernel of embedding, on a value in the table's place.
void lower(LowerCall& call) {
  struct Push {
    std::uint32_t positions, position_begin, width, row_begin, row_end, vocabulary;
  };
  const std::int64_t rows = call.in(0).rows, width = call.out().ld() / 4;
  for (const RowBlock& from : call.row_blocks({call.input(0)})) {
    for (const RowBlock& to : call.row_blocks({call.output()})) {
      call.dispatch(
          {.shader = "embedding",
           .bindings = {call.input(1), {call.input(0), from.begin, from.end}, {call.output(), to.begin, to.end}},
           .groups = LowerCall::grid((to.size() * width + 127) / 128)},
          Push{std::uint32_t(to.size()), std::uint32_t(to.begin), std::uint32_t(width), std::uint32_t(from.begin),
               std::uint32_t(from.end), std::uint32_t(rows)});
    }
  }
}
}  // namespace

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
    .lower = lower,
    .grad =
        [](GradCall& call) {
          call.add_gradient(0, call.op1("permute_rows", {call.d_output(), call.input(2), call.input(1)}));
        },
};

}  // namespace fabula::ops
