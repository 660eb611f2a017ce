#include "graph/op.hpp"
#include "graph/sized_case.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
struct Push {
  std::uint32_t rows, columns, x_stride, y_stride, first, written;
};

void infer_concat_columns(InferCall& call) {
  call.require(call.input_count() > 0, "at least one input");
  std::int64_t columns = 0;
  for (std::size_t i = 0; i < call.input_count(); ++i) {
    call.require(call.has_input(i) && call.in(i).rows == call.in(0).rows, "inputs of the same rows");
    columns += call.in(i).cols;
  }
  call.output({call.in(0).rows, columns});
}

void lower_concat_columns(LowerCall& call) {
  const Shape y = call.out();
  std::int64_t first = 0;
  for (std::size_t i = 0; i < call.input_count(); first += call.in(i++).cols) {
    const Shape x = call.in(i);
    const std::int64_t written = i + 1 == call.input_count() ? y.ld() - first : x.cols;
    for (const RowBlock& block : call.row_blocks({call.input(i), call.output()})) {
      call.dispatch(Launch{.shader = "concat_columns",
                           .bindings = {Window(call.input(i), block.begin, block.end),
                                        Window(call.output(), block.begin, block.end)},
                           .groups = LowerCall::grid(block.size() * ((written + 127) / 128))},
                    Push{std::uint32_t(block.size()), std::uint32_t(x.cols), std::uint32_t(x.ld()),
                         std::uint32_t(y.ld()), std::uint32_t(first), std::uint32_t(written)});
    }
  }
}
}  // namespace

extern const OpDef concat_columns;
const OpDef concat_columns{
    .name = "concat_columns",
    .formula = "y = the columns of every x in turn (for decoding: no gradient)",
    .inputs = {"x..."},
    .infer = infer_concat_columns,
    .lower = lower_concat_columns,
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
