#pragma once
#include <optional>

#include "ops/matmul_plan.hpp"

namespace fabula::ops {

/// One product y = op(a) op(b) (+ bias) (+ residual) over windows that a device can bind. Columns at which a window's
/// rows are entered are multiples of 4.
struct MatmulProduct {
  MatmulSize size;  ///< of this product
  graph::Window a, b, y;
  std::int64_t a_ld, b_ld, y_ld;            ///< words from row to row
  std::int64_t a_column = 0, y_column = 0;  ///< where it starts in a row of a | of y and residual
  std::int64_t bias_column = 0;
  std::optional<graph::Window> bias = {};
  std::optional<graph::Window> residual = {};  ///< shaped as y; may be y itself
  std::optional<graph::Value> gate = {};       ///< [1, 1] u32: nothing is done unless it is above gate_from
  std::int64_t gate_from = 0;
};

/// The push constant block of shaders/include/matmul_output.glsl.
struct MatmulPush {
  std::uint32_t rows, cols, depth, a_stride, b_stride, y_stride, a_column, y_column, bias_column, splits, split_depth,
      has_bias, has_residual, gate_from;
};

/// Launches a product with the kernel `variant`. `split` cuts K; its pieces need the scratch value `pieces`,
/// [split.count * M, N].
inline void launch_matmul(graph::LowerCall& call, std::string_view variant, const MatmulProduct& product,
                          MatmulSplit split = {}, graph::Value pieces = {}) {
  constexpr std::string_view kSuffix[] = {"_nn", "_nt", "_tn"};
  const auto u32 = [](std::int64_t value) { return static_cast<std::uint32_t>(value); };
  const MatmulSize& size = product.size;
  const std::int64_t splits = split.count > 1 ? (size.k + split.depth - 1) / split.depth : 1;
  MatmulPush push{.rows = u32(size.m),
                  .cols = u32(size.n),
                  .depth = u32(size.k),
                  .a_stride = u32(product.a_ld / 4),
                  .b_stride = u32(product.b_ld / 4),
                  .y_stride = u32(product.y_ld / 4),
                  .a_column = u32(product.a_column / 4),
                  .y_column = u32(product.y_column / 4),
                  .bias_column = u32(product.bias_column / 4),
                  .splits = u32(splits),
                  .split_depth = u32(splits > 1 ? split.depth : size.k),
                  .has_bias = product.bias && splits == 1,
                  .has_residual = product.residual && splits == 1,
                  .gate_from = product.gate ? u32(product.gate_from) : 0};
  const graph::Window unread = product.b;  // bound where there is nothing
  const graph::Window bias = product.bias.value_or(unread), residual = product.residual.value_or(unread);
  const graph::Window gate = product.gate ? graph::Window(*product.gate) : unread;
  const std::uint32_t gated = product.gate.has_value();
  const MatmulTile tile = matmul_tile(call.profile(), variant);
  const std::int64_t tiles = ((size.m + tile.m - 1) / tile.m) * ((size.n + tile.n - 1) / tile.n);
  graph::Launch launch{.shader = "matmul_" + std::string(variant),
                       .constants = {gated},
                       .bindings = {product.a, product.b, splits == 1 ? product.y : graph::Window(pieces),
                                    splits == 1 ? bias : unread, splits == 1 ? residual : unread, gate},
                       .groups = graph::LowerCall::grid(tiles * splits)};
  launch.shader += kSuffix[static_cast<std::size_t>(size.layout)];
  if (variant == kMatmulShuffle) {
    launch.subgroup_size = call.profile().features.subgroup_size;
    launch.constants = {push.has_residual, launch.subgroup_size, gated};
  }
  call.dispatch(launch, push);
  if (splits == 1) return;
  push.has_bias = product.bias.has_value();
  push.has_residual = product.residual.has_value();
  call.dispatch({.shader = "matmul_merge",
                 .constants = {gated},
                 .bindings = {pieces, product.y, bias, residual, gate},
                 .groups = graph::LowerCall::grid((size.m * ((size.n + 3) / 4) + 127) / 128)},
                push);
}

}  // namespace fabula::ops
