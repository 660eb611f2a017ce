#include "ops/embedding_lower.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void infer(InferCall& call) {
  const Shape d_table = call.in(0), ids = call.in(1), d_y = call.in(4);
  call.require(d_y.cols == d_table.cols, "d_y is [N, D] for d_table [V, D]");
  call.require(d_table.dtype == DType::kF32, "d_table is fp32");
  call.require(ids == Shape{1, d_y.rows} && call.in(2) == ids, "ids and order are [1, N] for d_y [N, D]");
  call.require(call.in(3) == Shape{1, SegmentCapacity{d_y.rows, d_table.rows}.words()},
               "segments are those of N positions and V keys");
  call.require(call.dtype(1) == DType::kU32 && call.dtype(2) == DType::kU32 && call.dtype(3) == DType::kU32,
               "ids, order and segments are words");
}
}  // namespace

extern const OpDef embedding_backward_add;
const OpDef embedding_backward_add{
    .name = "embedding_backward_add",
    .formula = "d_table[v] += sum over n with ids[n] = v of d_y[n] (a table with other uses: tied weights)",
    .inputs = {"d_table", "ids", "order", "segments", "d_y"},
    .infer = infer,
    .lower =
        [](LowerCall& call) {
          lower_segment_sum(call, call.input(2), call.input(3), call.input(4), call.input(0), call.in(4), call.in(0));
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = double(node.in(4).count()), .bytes = 3.0 * double(node.in(4).bytes())};
        },
    .scratch = [](const NodeView& node, const vk::DeviceProfile&,
                  std::string_view) { return std::vector<Shape>{segment_partials(node.in(4).rows, node.in(0))}; },
    .mutates = {0},
    .half = {"d_y"},
};

}  // namespace fabula::ops
