#include "graph/op.hpp"

namespace fabula::ops {
using namespace graph;

extern const OpDef mean_loss_backward;
const OpDef mean_loss_backward{
    .name = "mean_loss_backward",
    .formula = "d_loss[n] = scale[0] d",
    .inputs = {"scale", "d"},
    .attrs = {"columns"},
    .infer =
        [](InferCall& call) {
          call.require(call.in(0) == Shape{1, 4} && call.in(1) == Shape{1, 1}, "scale is [1, 4], d is [1, 1]");
          call.output({1, call.attrs().integer("columns")});
        },
    .lower =
        [](LowerCall& call) {
          const std::int64_t columns = call.out().cols;
          call.dispatch(Launch{.shader = "mean_loss_backward",
                               .bindings = {call.input(0), call.input(1), call.output()},
                               .groups = LowerCall::grid((call.out().ld() / 4 + 127) / 128)},
                        std::uint32_t(columns));
        },
};

}  // namespace fabula::ops
