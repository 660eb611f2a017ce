#include "ops/prototype_scores.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void lower_prototype_scores(LowerCall& call) {
  const PrototypeClasses classes(call.attrs(), call.in(0).cols);
  for (const RowBlock& block : call.row_blocks({call.input(0), call.output()})) {
    call.dispatch(Launch{.shader = "prototype_scores",
                         .bindings = {Window(call.input(0), block.begin, block.end),
                                      Window(call.output(), block.begin, block.end)},
                         .groups = LowerCall::grid((block.size() * call.out().ld() / 4 + 127) / 128)},
                  classes.push(block.size()));
  }
}
}  // namespace

extern const OpDef prototype_scores;
const OpDef prototype_scores{
    .name = "prototype_scores",
    .formula = "y[n] = the first `plain` columns of x[n], then the log-sum-exp of each run of `prototypes` columns",
    .inputs = {"x"},
    .attrs = {"plain", "prototypes"},
    .infer =
        [](InferCall& call) {
          const PrototypeClasses classes(call.attrs(), call.in(0).cols);
          call.require(classes.groups > 0,
                       "plain + groups * prototypes columns, plain >= 0, groups > 0, prototypes 1 to 7000");
          call.output({call.in(0).rows, classes.classes()});
        },
    .lower = lower_prototype_scores,
    .grad =
        [](GradCall& call) {
          call.add_gradient(
              0, call.op1("prototype_scores_backward", {call.input(0), call.output(), call.d_output()}, call.attrs()));
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 4.0 * double(node.in(0).count()),
                      .bytes = double(node.in(0).bytes() + node.out().bytes())};
        },
};

}  // namespace fabula::ops
