#include "graph/sized_case.hpp"
#include "ops/row_lanes.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void lower_row_max(LowerCall& call) {
  const Shape x = call.in(0);
  const RowLanes lanes = row_lanes(x.cols, call.variant());
  for (const RowBlock& block : call.row_blocks({call.input(0)})) {
    const struct {
      std::uint32_t rows, first_row, all_rows, columns;
    } push{std::uint32_t(block.size()), std::uint32_t(block.begin), std::uint32_t(x.rows), std::uint32_t(x.cols)};
    call.dispatch(Launch{.shader = "row_max",
                         .constants = lanes.constants(),
                         .bindings = {Window(call.input(0), block.begin, block.end), call.output()},
                         .groups = lanes.groups(block.size())},
                  push);
  }
}
}  // namespace

extern const OpDef row_max;
const OpDef row_max{
    .name = "row_max",
    .formula = "y[r] = max_c x[r, c]; a row with a NaN or an infinity gives NaN (no gradient)",
    .inputs = {"x"},
    .infer =
        [](InferCall& call) {
          call.output({1, call.in(0).rows});
        },
    .lower = lower_row_max,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = double(node.in(0).count()), .bytes = double(node.in(0).bytes())};
        },
    .variants = [](const NodeView& node,
                   const vk::DeviceProfile& profile) { return row_variants(node.in(0), profile); },
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
