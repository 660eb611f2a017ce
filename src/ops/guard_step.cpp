#include "graph/op.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
void infer(InferCall& call) {
  call.require(call.in(0) == Shape{1, 4}, "clip is [1, 4]: gradient scale, norm, 0, non-finite");
  call.require(call.in(1) == Shape{1, 1}, "loss is [1, 1]");
  call.require(call.in(2) == Shape{1, 4}, "limits is [1, 4]: max_norm, follows, 0, 0");
  call.require(call.in(3) == Shape{1, 1}, "halted is [1, 1]");
}
}  // namespace

extern const OpDef guard_step;
const OpDef guard_step{
    .name = "guard_step",
    .formula =
        "halted = clip[3] or loss is not finite or (limits[1] and halted); where halted, clip = {0, norm, 0, 1}: adamw "
        "then changes nothing",
    .inputs = {"clip", "loss", "limits", "halted"},
    .infer = infer,
    .lower =
        [](LowerCall& call) {
          call.dispatch(
              {.shader = "guard_step", .bindings = {call.input(0), call.input(1), call.input(2), call.input(3)}});
        },
    .mutates = {0, 3},
};

}  // namespace fabula::ops
