#include "ops/embedding_lower.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void infer(InferCall& call) {
  const Shape ids = call.in(0), d_y = call.in(3);
  const std::int64_t rows = call.attrs().integer("rows");
  call.require(rows > 0, "rows, the table's, is above zero");
  call.require(ids == Shape{1, d_y.rows} && call.in(1) == ids, "ids and order are [1, N] for d_y [N, D]");
  call.require(call.in(2) == Shape{1, SegmentCapacity{d_y.rows, rows}.words()},
               "segments are those of N positions and V keys");
  call.require(call.dtype(0) == DType::kU32 && call.dtype(1) == DType::kU32 && call.dtype(2) == DType::kU32,
               "ids, order and segments are words");
  call.output({rows, d_y.cols});
}
}  // namespace

extern const OpDef embedding_backward;
const OpDef embedding_backward{
    .name = "embedding_backward",
    .formula = "d_table[v] = sum over n with ids[n] = v of d_y[n]; order and segments are ids' SegmentPlan",
    .inputs = {"ids", "order", "segments", "d_y"},
    .attrs = {"rows"},
    .infer = infer,
    .lower =
        [](LowerCall& call) {
          call.clear(call.output());
          lower_segment_sum(call, call.input(1), call.input(2), call.input(3), call.output(), call.in(3), call.out());
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = double(node.in(3).count()),
                      .bytes = 3.0 * double(node.in(3).bytes()) + double(node.out().bytes())};
        },
    .scratch = [](const NodeView& node, const vk::DeviceProfile&,
                  std::string_view) { return std::vector<Shape>{segment_partials(node.in(3).rows, node.out())}; },
    .half = {"d_y"},
};

}  // namespace fabula::ops
