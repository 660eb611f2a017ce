#include "graph/sized_case.hpp"
#include "ops/storage.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
struct Push {
  std::uint32_t rows, columns;
};

void infer(InferCall& call) {
  call.require(is_float(call.dtype(0)), "x holds floats");
  call.output(call.in(0), storage_type(call.attrs()));
}

void lower(LowerCall& call) {
  for (const RowBlock& block : call.row_blocks({call.input(0), call.output()})) {
    const std::int64_t vec4s = block.size() * call.out().ld() / 4;
    call.dispatch({.shader = "cast",
                   .bindings = {{call.input(0), block.begin, block.end}, {call.output(), block.begin, block.end}},
                   .groups = LowerCall::grid((vec4s + 127) / 128)},
                  Push{static_cast<std::uint32_t>(block.size()), static_cast<std::uint32_t>(call.in(0).cols)});
  }
}

/// A gradient may come wider than the value that it is of: weights' do (matmul), and then nothing is to be done.
void grad(GradCall& call) {
  call.add_gradient(0, cast_to(call, call.d_output(), call.in(0).dtype));
}
}  // namespace

extern const OpDef cast;
const OpDef cast{
    .name = "cast",
    .formula = "y = x in another type; out: 0 fp32, 1 fp16, 2 bf16",
    .inputs = {"x"},
    .attrs = {"out"},
    .infer = infer,
    .lower = lower,
    .grad = grad,
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
