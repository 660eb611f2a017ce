#include "graph/op.hpp"

namespace fabula::ops {
using namespace graph;

namespace {

struct Push {
  std::uint32_t vec4_count, stride, cols;
  float value;
};

void lower(LowerCall& call) {
  const Shape& shape = call.out();
  const std::int64_t stride = shape.ld() / 4;
  for (const RowBlock& block : call.row_blocks({call.output()})) {
    const std::int64_t count = block.size() * stride;
    call.dispatch({.shader = "fill",
                   .bindings = {{call.output(), block.begin, block.end}},
                   .groups = LowerCall::grid((count + 127) / 128)},
                  Push{std::uint32_t(count), std::uint32_t(stride), std::uint32_t(shape.cols),
                       static_cast<float>(call.attrs().get("value"))});
  }
}

}  // namespace

extern const OpDef fill;
const OpDef fill{
    .name = "fill",
    .formula = "y[rows, cols] = value",
    .attrs = {"rows", "cols", "value"},
    .infer =
        [](InferCall& call) {
          const Shape shape{call.attrs().integer("rows"), call.attrs().integer("cols")};
          call.require(shape.rows > 0 && shape.cols > 0, "rows and cols above 0");
          call.output(shape);
        },
    .lower = lower,
};

}  // namespace fabula::ops
