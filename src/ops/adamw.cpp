#include "ops/elementwise.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
struct Push {
  std::uint32_t vec4_count;
  float decay;
};

void infer(InferCall& call) {
  const Shape param = call.in(0);
  call.require(call.in(1) == param && call.in(2) == param && call.in(3) == param,
               "param, grad, m and v have one shape");
  call.require(call.in(4) == Shape{1, 8}, "hyper is [1, 8]: lr, beta1, beta2, eps, 1 - beta1^t, 1 - beta2^t, 0, 0");
  call.require(call.in(5) == Shape{1, 4}, "clip is [1, 4]: gradient scale, norm, 0, non-finite");
  call.require(call.attrs().get("decay") >= 0, "decay is not negative");
}
}  // namespace

extern const OpDef adamw;
const OpDef adamw{
    .name = "adamw",
    .formula =
        "p -= lr decay p; m, v: means of g, g^2; p -= lr/(1-beta1^t) m / (sqrt(v/(1-beta2^t)) + eps); g = clip[0] "
        "grad; "
        "nothing when clip[3] is set",
    .inputs = {"param", "grad", "m", "v", "hyper", "clip"},
    .attrs = {"decay"},
    .infer = infer,
    .lower =
        [](LowerCall& call) {
          const auto decay = static_cast<float>(call.attrs().get("decay"));
          lower_flat(call, "adamw", {call.input(4), call.input(5)},
                     {call.input(0), call.input(1), call.input(2), call.input(3)}, call.in(0),
                     [decay](std::uint32_t vec4_count, std::uint32_t) {
                       return Push{vec4_count, decay};
                     });
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 16.0 * double(node.in(0).count()), .bytes = 7.0 * double(node.in(0).bytes())};
        },
    .mutates = {0, 2, 3},
};

}  // namespace fabula::ops
