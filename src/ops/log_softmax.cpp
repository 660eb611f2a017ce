#include "ops/row_lanes.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef log_softmax;
const OpDef log_softmax{
    .name = "log_softmax",
    .formula = "y[r, c] = x[r, c] - log(sum_c exp(x[r, c])) (for decoding: no gradient)",
    .inputs = {"x"},
    .infer = [](InferCall& call) { call.output(call.in(0)); },
    .lower =
        [](LowerCall& call) {
          const RowLanes lanes = row_lanes(call.in(0).cols, call.variant());
          for (const RowBlock& block : call.row_blocks({call.input(0), call.output()})) {
            const std::array<std::uint32_t, 2> push{std::uint32_t(block.size()), std::uint32_t(call.in(0).cols)};
            call.dispatch(Launch{.shader = "log_softmax",
                                 .constants = lanes.constants(),
                                 .bindings = {Window(call.input(0), block.begin, block.end),
                                              Window(call.output(), block.begin, block.end)},
                                 .groups = lanes.groups(block.size())},
                          push);
          }
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 6.0 * double(node.in(0).count()), .bytes = 2.0 * double(node.in(0).bytes())};
        },
    .variants = [](const NodeView& node,
                   const vk::DeviceProfile& profile) { return row_variants(node.in(0), profile); },
    .in_place = {{0, 0}},
};

}  // namespace fabula::ops
