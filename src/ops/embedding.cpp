#include "base/segments.hpp"
#include "graph/op.hpp"

#include "base/fail.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
struct Push {
  std::uint32_t positions, position_begin, width, row_begin, row_end, vocabulary;
};

void infer(InferCall& call) {
  const Shape ids = call.in(0), table = call.in(1);
  call.require(ids.rows == 1 && call.dtype(0) == DType::kU32, "ids are words [1, N]");
  call.require(call.has_input(2) == call.has_input(3), "order and segments come together");
  if (call.has_input(2)) {
    call.require(call.in(2) == ids && call.dtype(2) == DType::kU32, "order is words [1, N]");
    call.require(call.in(3) == Shape{1, SegmentCapacity{ids.cols, table.rows}.words()} && call.dtype(3) == DType::kU32,
                 "segments are the words of a SegmentPlan for N positions and V keys");
  }
  call.output({ids.cols, table.cols});
}

void lower(LowerCall& call) {
  const Shape &table = call.in(1), &y = call.out();
  const std::int64_t width = y.ld() / 4;
  for (const RowBlock& rows : call.row_blocks({call.input(1)})) {
    for (const RowBlock& block : call.row_blocks({call.output()})) {
      call.dispatch(
          {.shader = "embedding",
           .bindings = {call.input(0), {call.input(1), rows.begin, rows.end}, {call.output(), block.begin, block.end}},
           .groups = LowerCall::grid((block.size() * width + 127) / 128)},
          Push{static_cast<std::uint32_t>(block.size()), static_cast<std::uint32_t>(block.begin),
               static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(rows.begin),
               static_cast<std::uint32_t>(rows.end), static_cast<std::uint32_t>(table.rows)});
    }
  }
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
    .infer = infer,
    .lower = lower,
    .grad = grad,
    .cost = [](const NodeView& node) { return Cost{.flops = 0, .bytes = 2.0 * double(node.out().bytes())}; },
};

}  // namespace fabula::ops
