#include "ops/sum_lowering.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef sum_all;
const OpDef sum_all{
    .name = "sum_all",
    .formula = "y = sum of x, in a fixed order (for figures to report: no gradient); a NaN or an infinity gives NaN",
    .inputs = {"x"},
    .infer =
        [](InferCall& call) {
          call.output({1, 1});
        },
    .lower = [](LowerCall& call) { lower_sum(call, "sum_all"); },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = double(node.in(0).count()), .bytes = double(node.in(0).bytes())};
        },
    .scratch = [](const NodeView& node, const vk::DeviceProfile&, std::string_view) { return sum_scratch(node.in(0)); },
};

}  // namespace fabula::ops
