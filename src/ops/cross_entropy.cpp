#include "base/fail.hpp"
#include "graph/sized_case.hpp"
#include "ops/row_lanes.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void lower_cross_entropy(LowerCall& call) {
  const Shape logits = call.in(0);
  const RowLanes lanes = row_lanes(logits.cols, call.variant());
  for (const RowBlock& block : call.row_blocks({call.input(0)})) {
    const struct {
      std::uint32_t rows, first_row, positions, columns, has_counts;
    } push{std::uint32_t(block.size()), std::uint32_t(block.begin), std::uint32_t(logits.rows),
           std::uint32_t(logits.cols), call.has_input(2)};
    call.dispatch(Launch{.shader = "cross_entropy",
                         .constants = lanes.constants(),
                         .bindings = {Window(call.input(0), block.begin, block.end), call.input(1), call.output(0),
                                      call.output(1), call.output(2), call.input(call.has_input(2) ? 2 : 1)},
                         .groups = lanes.groups(block.size())},
                  push);
  }
}
}  // namespace

extern const OpDef cross_entropy;
const OpDef cross_entropy{
    .name = "cross_entropy",
    .formula =
        "loss[n] = log_sum_exp[n] - logits[n, labels[n]] over the first counts[n] columns; correct[n] = 1 where the "
        "label is the first largest; ignored: 0",
    .inputs = {"logits", "labels", "counts?"},
    .infer =
        [](InferCall& call) {
          const Shape row{1, call.in(0).rows};
          call.require(call.in(1) == row && call.dtype(1) == DType::kU32, "labels is [1, rows of logits], u32");
          call.require(!call.has_input(2) || (call.in(2) == row && call.dtype(2) == DType::kU32),
                       "counts is [1, rows of logits], u32");
          for (int i = 0; i < 3; ++i) call.output(row);
        },
    .lower = lower_cross_entropy,
    .grad =
        [](GradCall& call) {
          if (call.d_output(1) || call.d_output(2)) {
            fail(ErrorCode::kUnsupported, "{}: only the loss of cross_entropy has a gradient", call.label());
          }
          call.add_gradient(0, call.op1("cross_entropy_backward", {call.input(0), call.input(1), call.output(1),
                                                                   call.d_output(0), call.input(2)}));
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 6.0 * double(node.in(0).count()), .bytes = double(node.in(0).bytes())};
        },
    .variants = [](const NodeView& node,
                   const vk::DeviceProfile& profile) { return row_variants(node.in(0), profile); },
    .sized = sized_logits,
};

}  // namespace fabula::ops
