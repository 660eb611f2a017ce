#include "ops/sum_lowering.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef mean_loss;
const OpDef mean_loss{
    .name = "mean_loss",
    .formula = "y = scale[0] * sum of loss; scale[0] = 1 / positions that count; a NaN or an infinity gives NaN",
    .inputs = {"loss", "scale"},
    .infer =
        [](InferCall& call) {
          call.require(call.in(0).rows == 1, "loss is one row");
          call.require(call.in(1) == Shape{1, 4}, "scale is [1, 4]");
          call.output({1, 1});
        },
    .lower = [](LowerCall& call) { lower_sum(call, "mean_loss", call.input(1)); },
    .grad =
        [](GradCall& call) {
          const Attrs columns{{"columns", double(call.in(0).cols)}};
          call.add_gradient(0, call.op1("mean_loss_backward", {call.input(1), call.d_output()}, columns));
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = double(node.in(0).count()), .bytes = double(node.in(0).bytes())};
        },
    .scratch = [](const NodeView& node, const vk::DeviceProfile&, std::string_view) { return sum_scratch(node.in(0)); },
};

}  // namespace fabula::ops
