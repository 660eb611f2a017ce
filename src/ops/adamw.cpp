#include "ops/tensor_list.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
constexpr std::size_t kFirst = 2;  // hyper and clip come before the tensors

struct Push {
  std::uint32_t vec4_count;
  float decay;
};

std::size_t tensor_count(const NodeView& node) {
  return (node.input_count() - kFirst) / 4;
}

void infer(InferCall& call) {
  call.require(call.in(0) == Shape{1, 8}, "hyper is [1, 8]: lr, beta1, beta2, eps, 1 - beta1^t, 1 - beta2^t, 0, 0");
  call.require(call.in(1) == Shape{1, 4}, "clip is [1, 4]: gradient scale, norm, 0, non-finite");
  call.require(call.input_count() > kFirst && (call.input_count() - kFirst) % 4 == 0,
               "as many grads, m and v as params");
  const std::size_t count = (call.input_count() - kFirst) / 4;
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t kind = 1; kind < 4; ++kind)
      call.require(call.in(kFirst + kind * count + i) == call.in(kFirst + i),
                   "a param, its grad, m and v have one shape");
  call.require(call.attrs().get("decay") >= 0, "decay is not negative");
}

void lower(LowerCall& call) {
  const std::size_t count = tensor_count(call);
  std::vector<std::vector<Value>> kinds;
  for (std::size_t kind = 0; kind < 4; ++kind) kinds.push_back(input_list(call, kFirst + kind * count, count));
  for (const Run& run : call.runs(kinds)) {
    const std::int64_t vec4_count = run.words / 4;
    Launch launch{.shader = "adamw",
                  .bindings = {call.input(0), call.input(1)},
                  .groups = LowerCall::grid((vec4_count + 127) / 128)};
    for (const std::vector<Value>& kind : kinds) launch.bindings.push_back(run.window(kind));
    call.dispatch(launch, Push{static_cast<std::uint32_t>(vec4_count), static_cast<float>(call.attrs().get("decay"))});
  }
}

Cost cost(const NodeView& node) {
  Cost total;
  for (std::size_t i = 0; i < tensor_count(node); ++i) {
    total.flops += 16.0 * double(node.in(kFirst + i).count());
    total.bytes += 7.0 * double(node.in(kFirst + i).bytes());
  }
  return total;
}

std::vector<std::size_t> mutates(const NodeView& node) {
  std::vector<std::size_t> inputs;
  for (const std::size_t kind : {0, 2, 3})
    for (std::size_t i = 0; i < tensor_count(node); ++i) inputs.push_back(kFirst + kind * tensor_count(node) + i);
  return inputs;
}
}  // namespace

extern const OpDef adamw;
const OpDef adamw{
    .name = "adamw",
    .formula =
        "p -= lr decay p; m, v: means of g, g^2; p -= lr/(1-beta1^t) m / (sqrt(v/(1-beta2^t)) + eps); g = clip[0] "
        "grad; nothing when clip[3] is set",
    .inputs = {"hyper", "clip", "all params, then all grads, all m, all v..."},
    .attrs = {"decay"},
    .infer = infer,
    .lower = lower,
    .cost = cost,
    .mutates_of = mutates,
};

}  // namespace fabula::ops
