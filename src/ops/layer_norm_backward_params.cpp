#include "ops/reduction.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
/// Positions a chunk: a divisor of 64, where row blocks start. A GPU wants more and shorter loops.
std::uint32_t chunk_positions(std::string_view variant) {
  return variant == "serial" ? 64 : 32;
}

std::int64_t chunk_count(std::int64_t positions, std::string_view variant) {
  return (positions + chunk_positions(variant) - 1) / chunk_positions(variant);
}

void infer(InferCall& call) {
  const Shape x = call.in(0);
  call.require(call.in(1) == Shape{x.rows, 2} && call.in(2) == x, "x and d_y are [N, D], stats [N, 2]");
  call.output({1, x.cols});
  call.output({1, x.cols});
}

void lower(LowerCall& call) {
  const Shape& x = call.in(0);
  const std::uint32_t chunk = chunk_positions(call.variant());
  const std::int64_t width = x.ld() / 4, chunks = chunk_count(x.rows, call.variant());
  for (const RowBlock& block : call.row_blocks({call.input(0), call.input(1), call.input(2)})) {
    const std::int64_t invocations = chunk_count(block.size(), call.variant()) * width;
    call.dispatch(
        {.shader = "layer_norm_backward_params_chunks",
         .constants = {chunk},
         .bindings = {{call.input(0), block.begin, block.end},
                      {call.input(1), block.begin, block.end},
                      {call.input(2), block.begin, block.end},
                      call.scratch(0),
                      call.scratch(1)},
         .groups = LowerCall::grid((invocations + 127) / 128)},
        std::array<std::uint32_t, 3>{static_cast<std::uint32_t>(block.size()), static_cast<std::uint32_t>(x.cols),
                                     static_cast<std::uint32_t>(block.begin / chunk)});
  }
  const std::uint32_t size = call.variant() == "serial" ? 32 : 128, lanes = call.variant() == "serial" ? 1 : 32;
  const std::int64_t columns = size / lanes;
  call.dispatch({.shader = "layer_norm_backward_params_sum",
                 .constants = {size, lanes},
                 .bindings = {call.scratch(0), call.scratch(1), call.output(0), call.output(1)},
                 .groups = LowerCall::grid((width + columns - 1) / columns)},
                std::array<std::uint32_t, 2>{static_cast<std::uint32_t>(chunks), static_cast<std::uint32_t>(width)});
}
}  // namespace

extern const OpDef layer_norm_backward_params;
const OpDef layer_norm_backward_params{
    .name = "layer_norm_backward_params",
    .formula = "d_weight = sum_n d_y[n] (x[n] - mean) rstd, d_bias = sum_n d_y[n]",
    .inputs = {"x", "stats", "d_y"},
    .infer = infer,
    .lower = lower,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 5.0 * double(node.in(0).count()), .bytes = 2.0 * double(node.in(0).bytes())};
        },
    .variants = reduction_variants,
    .scratch =
        [](const NodeView& node, const vk::DeviceProfile&, std::string_view variant) {
          const Shape chunks{chunk_count(node.in(0).rows, variant), node.in(0).cols};
          return std::vector<Shape>{chunks, chunks};
        },
};

}  // namespace fabula::ops
