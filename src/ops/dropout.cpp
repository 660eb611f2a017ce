#include <cmath>

#include "ops/elementwise.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
struct Push {
  std::uint32_t vec4_count, first, stream, threshold;
  float scale;
};

void infer(InferCall& call) {
  const double p = call.attrs().get("p");
  call.require(p >= 0 && p < 1, "p is in [0, 1)");
  call.require(call.attrs().integer("stream") >= 0 && call.attrs().integer("stream") <= 0xFFFFFFFF,
               "stream is a 32-bit number");
  call.require(call.in(1) == Shape{1, 4} && call.dtype(1) == DType::kU32,
               "seed is words [1, 4]: key low, key high, step low, step high");
  call.require(!call.has_input(2) || (call.in(2) == call.in(0) && call.dtype(2) == call.dtype(0)),
               "residual has the shape and type of x");
  call.require(call.in(0).padded() / 4 <= 0xFFFFFFFF,
               "x has at most 2^32 groups of 4 columns, which the random numbers' counter holds");
  call.output(call.in(0));
}

void lower(LowerCall& call) {
  const double p = call.attrs().get("p");
  const auto make_push = [&](std::uint32_t vec4_count, std::uint32_t first) {
    return Push{vec4_count, first, static_cast<std::uint32_t>(call.attrs().integer("stream")),
                static_cast<std::uint32_t>(std::min(std::round(p * 0x1p32), 0x1p32 - 1)),
                static_cast<float>(1 / (1 - p))};
  };
  const Value seed = call.input(1), x = call.input(0), y = call.output();
  if (call.has_input(2))
    lower_flat(call, "dropout_residual", {seed}, {x, y, call.input(2)}, call.in(0), make_push);
  else
    lower_flat(call, "dropout", {seed}, {x, y}, call.in(0), make_push);
}

void grad(GradCall& call) {
  if (call.wanted(0)) {
    call.add_gradient(0, call.op1("dropout", {call.d_output(), call.input(1)},
                                  {{"p", call.attrs().get("p")}, {"stream", call.attrs().get("stream")}}));
  }
  call.add_gradient(2, call.d_output());
}
}  // namespace

extern const OpDef dropout;
const OpDef dropout{
    .name = "dropout",
    .formula = "y = residual + keep x / (1 - p); keep: a Philox word of (seed, stream, element) >= p 2^32",
    .inputs = {"x", "seed", "residual?"},
    .attrs = {"p", "stream"},
    .infer = infer,
    .lower = lower,
    .grad = grad,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 2.0 * double(node.in(0).count()),
                      .bytes = (node.has_input(2) ? 3.0 : 2.0) * double(node.in(0).bytes())};
        },
    .in_place = {{0, 0}},
    .half = {"x", "residual"},
};

}  // namespace fabula::ops
