#include "graph/sized_case.hpp"
#include "ops/row_lanes.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void lower_cross_entropy_backward(LowerCall& call) {
  const Shape logits = call.in(0);
  const RowLanes lanes = row_lanes(logits.cols, call.variant());
  for (const RowBlock& block : call.row_blocks({call.input(0), call.output()})) {
    const struct {
      std::uint32_t rows, first_row, columns, has_counts;
    } push{std::uint32_t(block.size()), std::uint32_t(block.begin), std::uint32_t(logits.cols), call.has_input(4)};
    call.dispatch(
        Launch{.shader = "cross_entropy_backward",
               .constants = lanes.constants(),
               .bindings = {Window(call.input(0), block.begin, block.end), call.input(1), call.input(2), call.input(3),
                            Window(call.output(), block.begin, block.end), call.input(call.has_input(4) ? 4 : 1)},
               .groups = lanes.groups(block.size())},
        push);
  }
}
}  // namespace

extern const OpDef cross_entropy_backward;
const OpDef cross_entropy_backward{
    .name = "cross_entropy_backward",
    .formula =
        "d_logits[n, c] = (exp(logits[n, c] - log_sum_exp[n]) - (c == labels[n])) d_loss[n]; 0 where ignored and "
        "from column counts[n] on",
    .inputs = {"logits", "labels", "log_sum_exp", "d_loss", "counts?"},
    .infer =
        [](InferCall& call) {
          const Shape row{1, call.in(0).rows};
          call.require(call.in(1) == row && call.dtype(1) == DType::kU32, "labels is [1, rows of logits], u32");
          call.require(call.in(2) == row && call.in(3) == row, "log_sum_exp and d_loss are [1, rows of logits]");
          call.require(!call.has_input(4) || (call.in(4) == row && call.dtype(4) == DType::kU32),
                       "counts is [1, rows of logits], u32");
          call.output(call.in(0));
        },
    .lower = lower_cross_entropy_backward,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 4.0 * double(node.in(0).count()), .bytes = 2.0 * double(node.in(0).bytes())};
        },
    .variants = [](const NodeView& node,
                   const vk::DeviceProfile& profile) { return row_variants(node.in(0), profile); },
    .in_place = {{0, 0}},
    .sized = sized_logits,
};

}  // namespace fabula::ops
