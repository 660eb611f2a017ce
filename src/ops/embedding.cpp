#include "base/fail.hpp"
#include "ops/embedding_lower.hpp"
#include "ops/storage.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void infer(InferCall& call) {
  const Shape ids = call.in(0), table = call.in(1);
  call.require(ids.rows == 1 && call.dtype(0) == DType::kU32, "ids are words [1, N]");
  call.require(is_float(table.dtype), "a table of floats");
  call.require(call.has_input(2) == call.has_input(3), "order and segments come together");
  if (call.has_input(2)) {
    call.require(call.in(2) == ids && call.dtype(2) == DType::kU32, "order is words [1, N]");
    call.require(call.in(3) == Shape{1, SegmentCapacity{ids.cols, table.rows}.words()} && call.dtype(3) == DType::kU32,
                 "segments are the words of a SegmentPlan for N positions and V keys");
  }
  call.output({ids.cols, table.cols}, storage_type(call.attrs()));
}

void grad(GradCall& call) {
  if (!call.wanted(1)) return;
  if (!call.has_input(2)) {
    fail(ErrorCode::kInvalidArgument,
         "{}: the gradient of the table needs order and segments (base/segments.hpp), which were not given",
         call.label());
  }
  const Value ids = call.input(0), order = call.input(2), segments = call.input(3), d_y = call.d_output();
  if (const Value d_table = call.gradient_so_far(1)) {
    call.op("embedding_backward_add", {d_table, ids, order, segments, d_y});
  } else {
    call.add_gradient(1,
                      call.op1("embedding_backward", {ids, order, segments, d_y}, {{"rows", double(call.in(1).rows)}}));
  }
}
}  // namespace

extern const OpDef embedding;
const OpDef embedding{
    .name = "embedding",
    .formula = "y[n] = table[ids[n]], zero where ids[n] >= V",
    .inputs = {"ids", "table", "order?", "segments?"},
    .attrs = {"out"},
    .infer = infer,
    .lower = [](LowerCall& call) { lower_row_lookup(call, call.input(0), call.input(1), call.in(1).rows); },
    .grad = grad,
    .cost = [](const NodeView& node) { return Cost{.flops = 0, .bytes = 2.0 * double(node.out().bytes())}; },
};

}  // namespace fabula::ops
