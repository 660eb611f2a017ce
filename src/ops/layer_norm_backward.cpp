#include "ops/reduction.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void infer(InferCall& call) {
  const Shape x = call.in(0);
  call.require(call.in(1) == Shape{1, x.cols} && call.in(2) == Shape{x.rows, 2} && call.in(3) == x,
               "x and d_y are [N, D], weight [1, D], stats [N, 2]");
  call.output(x);
}

void lower(LowerCall& call) {
  const Shape& x = call.in(0);
  const ReductionShape shape = reduction_shape(call.variant(), x.ld() / 4);
  for (const RowBlock& block : call.row_blocks({call.input(0), call.input(2), call.input(3), call.output()})) {
    call.dispatch(
        {.shader = "layer_norm_backward",
         .constants = shape.constants(),
         .bindings = {{call.input(0), block.begin, block.end},
                      call.input(1),
                      {call.input(2), block.begin, block.end},
                      {call.input(3), block.begin, block.end},
                      {call.output(), block.begin, block.end}},
         .groups = LowerCall::grid((block.size() + shape.rows() - 1) / shape.rows())},
        std::array<std::uint32_t, 2>{static_cast<std::uint32_t>(block.size()), static_cast<std::uint32_t>(x.cols)});
  }
}
}  // namespace

extern const OpDef layer_norm_backward;
const OpDef layer_norm_backward{
    .name = "layer_norm_backward",
    .formula = "d_x = rstd (g - mean(g) - h mean(g h)), g = d_y weight, h = (x - mean) rstd",
    .inputs = {"x", "weight", "stats", "d_y"},
    .infer = infer,
    .lower = lower,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 15.0 * double(node.in(0).count()), .bytes = 3.0 * double(node.in(0).bytes())};
        },
    .variants = reduction_variants,
    .in_place = {{0, 3}},
};

}  // namespace fabula::ops
