#include "graph/op.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
enum Input : std::size_t { kClip, kLoss, kLimits, kHalted, kLossScale };

void infer(InferCall& call) {
  call.require(call.in(kClip) == Shape{1, 4}, "clip is [1, 4]: gradient scale, norm, 0, non-finite");
  call.require(call.in(kLoss) == Shape{1, 1}, "loss is [1, 1]");
  call.require(call.in(kLimits) == Shape{1, 4}, "limits is [1, 4]: max_norm, follows, growth interval, 0");
  call.require(call.in(kHalted) == Shape{1, 1}, "halted is [1, 1]");
  if (call.has_input(kLossScale))
    call.require(call.in(kLossScale) == Shape{1, 4}, "loss_scale is [1, 4]: scale, good steps, 0, 0");
}

void lower(LowerCall& call) {
  const bool scaled = call.has_input(kLossScale);
  call.dispatch({.shader = "guard_step",
                 .bindings = {call.input(kClip), call.input(kLoss), call.input(kLimits), call.input(kHalted),
                              call.input(scaled ? kLossScale : kHalted)}},
                std::uint32_t(scaled));
}

std::vector<std::size_t> mutates(const NodeView& node) {
  if (node.has_input(kLossScale)) return {kClip, kHalted, kLossScale};
  return {kClip, kHalted};
}
}  // namespace

extern const OpDef guard_step;
const OpDef guard_step{
    .name = "guard_step",
    .formula =
        "clip = {c, norm / s, s, w}: the gradients' factor with their scale s taken out; w = 1, c = 0, and halted, "
        "when norm or loss is not finite or an earlier step was halted; w = 2, c = 0 when s > 1 allows to halve it "
        "instead",
    .inputs = {"clip", "loss", "limits", "halted", "loss_scale?"},
    .infer = infer,
    .lower = lower,
    .mutates_of = mutates,
};

}  // namespace fabula::ops
