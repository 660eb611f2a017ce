#include "ops/copy_rows.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef slice_rows;
const OpDef slice_rows{
    .name = "slice_rows",
    .formula = "y = rows [begin, begin + count) of x (no gradient)",
    .inputs = {"x"},
    .attrs = {"begin", "count"},
    .infer =
        [](InferCall& call) {
          const std::int64_t begin = call.attrs().integer("begin"), count = call.attrs().integer("count");
          call.require(begin >= 0 && count > 0 && begin + count <= call.in(0).rows,
                       "rows [begin, begin + count) lie in x");
          call.output({count, call.in(0).cols});
        },
    .lower =
        [](LowerCall& call) {
          copy_rows(call, call.input(0), call.attrs().integer("begin"), call.output(), 0, call.out().rows, call.out());
        },
    .cost = [](const NodeView& node) { return Cost{.bytes = 2.0 * double(node.out().bytes())}; },
};

}  // namespace fabula::ops
