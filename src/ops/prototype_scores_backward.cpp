#include "ops/prototype_scores.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void lower_prototype_scores_backward(LowerCall& call) {
  const PrototypeClasses classes(call.attrs(), call.in(0).cols);
  const std::array<Value, 4> values{call.input(0), call.input(1), call.input(2), call.output()};
  for (const RowBlock& block : call.row_blocks({values[0], values[1], values[2], values[3]})) {
    Launch launch{.shader = "prototype_scores_backward",
                  .groups = LowerCall::grid((block.size() * call.out().ld() / 4 + 127) / 128)};
    for (Value value : values) launch.bindings.emplace_back(value, block.begin, block.end);
    call.dispatch(launch, classes.push(block.size()));
  }
}
}  // namespace

extern const OpDef prototype_scores_backward;
const OpDef prototype_scores_backward{
    .name = "prototype_scores_backward",
    .formula = "d_x[n, j] = d_y[n, j] for plain columns, exp(x[n, j] - y[n, g]) d_y[n, g] for a prototype j of group g",
    .inputs = {"x", "y", "d_y"},
    .attrs = {"plain", "prototypes"},
    .infer =
        [](InferCall& call) {
          const PrototypeClasses classes(call.attrs(), call.in(0).cols);
          call.require(classes.groups > 0,
                       "plain + groups * prototypes columns, plain >= 0, groups > 0, prototypes 1 to 7000");
          const Shape y{call.in(0).rows, classes.classes()};
          call.require(call.in(1) == y && call.in(2) == y, "y and d_y are [rows of x, plain + groups]");
          call.output(call.in(0));
        },
    .lower = lower_prototype_scores_backward,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 3.0 * double(node.in(0).count()),
                      .bytes = 2.0 * double(node.in(0).bytes() + node.in(1).bytes())};
        },
    .in_place = {{0, 0}},
};

}  // namespace fabula::ops
