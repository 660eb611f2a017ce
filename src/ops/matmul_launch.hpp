#pragma once
#include <optional>

#include "ops/matmul_plan.hpp"

namespace fabula::ops {

/// What happens to a product's sum before it is stored: constants of shaders/include/matmul_output.glsl.
enum class MatmulActivation : std::uint32_t {
  kNone,
  kGelu,          ///< y = gelu(sum)
  kGeluKeep,      ///< the same; the sum goes to `pre`
  kGeluBackward,  ///< y = sum * gelu'(aux)
};

/// One product y = activation(op(a) op(b) (+ bias) (+ residual)) over windows that a device can bind. Columns at which
/// a window's rows are entered are multiples of 8.
struct MatmulProduct {
  MatmulSize size;  ///< of this product
  graph::Window a, b, y;
  std::int64_t a_ld, b_ld, y_ld;            ///< elements from row to row
  std::int64_t a_column = 0, y_column = 0;  ///< where it starts in a row of a | of y, residual, aux and pre
  std::int64_t bias_column = 0;
  std::optional<graph::Window> bias = {};
  std::optional<graph::Window> residual = {};  ///< shaped and stored as y; may be y itself
  std::optional<graph::Window> aux = {};       ///< the same
  std::optional<graph::Window> pre = {};       ///< shaped and stored as y
  MatmulActivation activation = MatmulActivation::kNone;
  std::optional<graph::Value> gate = {};  ///< [1, 1] u32: nothing is done unless it is above gate_from
  std::int64_t gate_from = 0;
};

/// The push constant block of shaders/include/matmul_output.glsl.
struct MatmulPush {
  std::uint32_t rows, cols, depth, a_stride, b_stride, y_stride, a_column, y_column, bias_column, splits, split_depth,
      has_bias, has_residual, gate_from;
};

/// Words of a row of partial sums, which are fp32.
inline std::int64_t matmul_piece_ld(std::int64_t columns) {
  return graph::Shape{1, columns}.ld();
}

namespace detail {

inline std::uint32_t u32(std::int64_t value) {
  return static_cast<std::uint32_t>(value);
}

/// The output side's bindings, 0 to 5. Where there is nothing, something that the kernel binds anyway stands in.
inline std::vector<graph::Window> matmul_output_bindings(const MatmulProduct& product, const graph::Window& y,
                                                         const graph::Window& unread, bool whole) {
  const auto given = [&](const std::optional<graph::Window>& window) { return whole && window ? *window : unread; };
  return {y,
          given(product.bias),
          given(product.residual),
          given(product.aux),
          whole && product.pre ? *product.pre : y,
          product.gate ? graph::Window(*product.gate) : unread};
}

}  // namespace detail

/// The last stage of a product whose K was cut: adds `splits` partial sums, [splits * M, columns of the whole y], and
/// does what the product's epilogue says.
inline void launch_matmul_merge(graph::LowerCall& call, const MatmulProduct& product, const graph::Window& pieces,
                                std::int64_t piece_ld, std::int64_t splits) {
  using detail::u32;
  const MatmulPush push{.rows = u32(product.size.m),
                        .cols = u32(product.size.n),
                        .depth = u32(product.size.k),
                        .a_stride = u32(piece_ld / 4),
                        .b_stride = 0,
                        .y_stride = u32(product.y_ld / 4),
                        .a_column = 0,
                        .y_column = u32(product.y_column / 4),
                        .bias_column = u32(product.bias_column / 4),
                        .splits = u32(splits),
                        .split_depth = 0,
                        .has_bias = product.bias.has_value(),
                        .has_residual = product.residual.has_value(),
                        .gate_from = product.gate ? u32(product.gate_from) : 0};
  graph::Launch launch{.shader = "matmul_merge",
                       .constants = {product.gate.has_value(), static_cast<std::uint32_t>(product.activation)},
                       .bindings = detail::matmul_output_bindings(product, product.y, pieces, true),
                       // Columns in whole eights: as many vec4s as a row of 16-bit values has.
                       .groups = graph::LowerCall::grid((product.size.m * ((product.size.n + 7) / 8 * 2) + 127) / 128)};
  launch.bindings.push_back(pieces);
  call.dispatch(launch, push);
}

/// Launches a product with the kernel `variant`. `split` cuts K; its pieces need the scratch value `pieces`,
/// [split.count * M, columns of the whole y].
inline void launch_matmul(graph::LowerCall& call, std::string_view variant, const MatmulProduct& product,
                          MatmulSplit split = {}, graph::Value pieces = {}, std::int64_t piece_ld = 0) {
  using detail::u32;
  constexpr std::string_view kSuffix[] = {"_nn", "_nt", "_tn"};
  const MatmulSize& size = product.size;
  const std::int64_t splits = split.count > 1 ? (size.k + split.depth - 1) / split.depth : 1;
  const bool whole = splits == 1;
  if (piece_ld == 0) piece_ld = matmul_piece_ld(size.n);
  const MatmulPush push{.rows = u32(size.m),
                        .cols = u32(size.n),
                        .depth = u32(size.k),
                        .a_stride = u32(product.a_ld / 4),
                        .b_stride = u32(product.b_ld / 4),
                        .y_stride = u32((whole ? product.y_ld : piece_ld) / 4),
                        .a_column = u32(product.a_column / 4),
                        .y_column = u32(product.y_column / 4),
                        .bias_column = u32(product.bias_column / 4),
                        .splits = u32(splits),
                        .split_depth = u32(whole ? size.k : split.depth),
                        .has_bias = product.bias && whole,
                        .has_residual = product.residual && whole,
                        .gate_from = product.gate ? u32(product.gate_from) : 0};
  const std::uint32_t gated = product.gate.has_value();
  const auto activation = static_cast<std::uint32_t>(whole ? product.activation : MatmulActivation::kNone);
  const MatmulTile tile = matmul_tile(call.profile(), variant);
  const std::int64_t tiles = ((size.m + tile.m - 1) / tile.m) * ((size.n + tile.n - 1) / tile.n);
  const graph::Window y = whole ? product.y : graph::Window(pieces);
  graph::Launch launch{.shader = "matmul_" + std::string(variant),
                       .constants = {gated, activation},
                       .bindings = detail::matmul_output_bindings(product, y, product.b, whole),
                       .groups = graph::LowerCall::grid(tiles * splits)};
  launch.shader += kSuffix[static_cast<std::size_t>(size.layout)];
  launch.bindings.push_back(product.a);
  launch.bindings.push_back(product.b);
  if (variant == kMatmulShuffle) {
    launch.subgroup_size = matmul_shuffle_lanes(call.profile());
    launch.constants = {push.has_residual, launch.subgroup_size, gated, activation};
  }
  if (is_matmul_coop(variant) && variant != kMatmulCoopEmulated) launch.subgroup_size = kMatmulCoopLanes;
  call.dispatch(launch, push);
  if (!whole) launch_matmul_merge(call, product, pieces, piece_ld, splits);
}

}  // namespace fabula::ops
