#include <array>

#include "graph/sized_case.hpp"
#include "ops/elementwise.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef scale_by;
const OpDef scale_by{
    .name = "scale_by",
    .formula = "y = x s[0] (no gradient)",
    .inputs = {"x", "s"},
    .infer =
        [](InferCall& call) {
          call.require(call.in(1).rows == 1, "s is one row, of which the first number counts");
          call.output(call.in(0));
        },
    .lower =
        [](LowerCall& call) {
          const auto columns = static_cast<std::uint32_t>(call.in(0).cols);
          lower_flat(call, "scale_by", {call.input(1)}, {call.input(0), call.output()}, call.in(0),
                     [columns](std::uint32_t vec4_count, std::uint32_t) {
                       return std::array{vec4_count, columns};
                     });
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = double(node.in(0).count()), .bytes = 2.0 * double(node.in(0).bytes())};
        },
    .in_place = {{0, 0}},
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
