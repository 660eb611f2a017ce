#include "graph/op.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void infer(InferCall& call) {
  call.require(call.in(0).cols == 256, "norms is [P, 256]");
  call.require(call.in(0).rows <= 100000, "norms has at most 100,000 rows (one workgroup sums them)");
  call.require(call.in(1) == Shape{1, 4}, "limits is [1, 4]: max_norm, 0, 0, 0");
  call.output({1, 4});
}
}  // namespace

extern const OpDef clip_scale;
const OpDef clip_scale{
    .name = "clip_scale",
    .formula = "{min(1, max_norm / (norm + 1e-6)), norm, 0, 0}, or {0, 0, 0, 1} when not finite; norm^2 = sum of norms",
    .inputs = {"norms", "limits"},
    .infer = infer,
    .lower =
        [](LowerCall& call) {
          constexpr std::uint32_t kInvocations = 128;
          call.dispatch({.shader = "clip_scale",
                         .constants = {kInvocations, kInvocations},
                         .bindings = {call.input(0), call.input(1), call.output()}},
                        static_cast<std::uint32_t>(call.in(0).padded() / 4));
        },
};

}  // namespace fabula::ops
