#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ceil_div.hpp"
#include "ops/reduction.hpp"

// layer_norm_backward and rms_norm_backward have one set of kernels, in the latter's case without mean and bias.
// Inputs: x [N, D], weight [1, D], stats, d_y [N, D], d_residual?; outputs: d_x, then each parameter's gradient.
namespace fabula::ops {

struct NormBackward {
  std::string name;   ///< the op's, with which its shaders' names begin
  std::int64_t sums;  ///< parameters
};

inline constexpr std::int64_t kMostHeldSubgroup = 4, kMostHeldTile = 8;  // vec4s of a row in an invocation's registers

inline std::int64_t norm_width(const graph::NodeView& node) {
  return node.in(0).ld() / 4;
}

/// Positions whose sums become one row of scratch: a divisor of 64, where row blocks start. Enough chunks to fill a
/// GPU, not more: each costs a row a parameter written and read again.
inline std::int64_t norm_chunk(std::string_view variant, std::int64_t positions) {
  if (variant == "serial") return 64;
  return positions >= 16384 ? 32 : 16;
}

inline std::int64_t norm_chunks(std::string_view variant, std::int64_t positions, std::int64_t all_positions) {
  return ceil_div(positions, norm_chunk(variant, all_positions));
}

inline std::vector<graph::Shape> norm_scratch(const graph::NodeView& node, std::string_view variant,
                                              std::int64_t sums) {
  const graph::Shape& x = node.in(0);
  return {{norm_chunks(variant, x.rows, x.rows), sums * ((x.cols + 3) / 4 * 4)}};
}

/// Lowering of a node of either op.
class NormBackwardLowering {
 public:
  NormBackwardLowering(graph::LowerCall& call, NormBackward norm) : call_(call), norm_(std::move(norm)) {
    shape_ = is_subgroup() ? subgroup_reduction_shape(reduction_subgroup_size(call.profile()), norm_width(call))
                           : reduction_shape(call.variant(), norm_width(call));
  }

  void lower() {
    // One kernel for all outputs where a row lies in registers.
    const bool fused = is_subgroup() || (call_.variant() == "tile" && shape_.held(norm_width(call_)) <= kMostHeldTile);
    for (const graph::RowBlock& block :
         call_.row_blocks({call_.input(0), call_.input(2), call_.input(3), call_.output(), residual()})) {
      const Push push{static_cast<std::uint32_t>(block.size()), static_cast<std::uint32_t>(call_.in(0).cols),
                      static_cast<std::uint32_t>(chunks(block.begin))};
      fused ? lower_fused(block, push) : lower_apart(block, push);
    }
    lower_sums();
  }

 private:
  struct Push {
    std::uint32_t rows, columns, first_chunk;
  };

  bool is_subgroup() const { return call_.variant() == kSubgroup; }
  graph::Value residual() const { return call_.input(4) ? call_.input(4) : call_.input(3); }
  std::uint32_t chunk() const { return static_cast<std::uint32_t>(norm_chunk(call_.variant(), call_.in(0).rows)); }
  std::int64_t chunks(std::int64_t positions) const {
    return norm_chunks(call_.variant(), positions, call_.in(0).rows);
  }
  static graph::Window rows_of(graph::Value value, const graph::RowBlock& block) {
    return {value, block.begin, block.end};
  }

  void lower_fused(const graph::RowBlock& block, const Push& push) {
    call_.dispatch({.shader = norm_.name + (is_subgroup() ? "_fused_subgroup" : "_fused"),
                    .constants = {shape_.size, shape_.lanes, static_cast<std::uint32_t>(shape_.held(norm_width(call_))),
                                  chunk(), bool(call_.input(4))},
                    .subgroup_size = is_subgroup() ? reduction_subgroup_size(call_.profile()) : 0,
                    .bindings = {rows_of(call_.input(0), block), call_.input(1), rows_of(call_.input(2), block),
                                 rows_of(call_.input(3), block), rows_of(call_.output(), block), call_.scratch(0),
                                 rows_of(residual(), block)},
                    .groups = graph::LowerCall::grid(chunks(block.size()))},
                   push);
  }

  void lower_apart(const graph::RowBlock& block, const Push& push) {
    // First, since d_x may take the place of d_y.
    call_.dispatch({.shader = norm_.name + "_params_chunks",
                    .constants = {chunk()},
                    .bindings = {rows_of(call_.input(0), block), rows_of(call_.input(2), block),
                                 rows_of(call_.input(3), block), call_.scratch(0)},
                    .groups = graph::LowerCall::grid((chunks(block.size()) * norm_width(call_) + 127) / 128)},
                   push);
    call_.dispatch(
        {.shader = norm_.name,
         .constants = {shape_.size, shape_.lanes, bool(call_.input(4))},
         .bindings = {rows_of(call_.input(0), block), call_.input(1), rows_of(call_.input(2), block),
                      rows_of(call_.input(3), block), rows_of(call_.output(), block), rows_of(residual(), block)},
         .groups = graph::LowerCall::grid((block.size() + shape_.rows() - 1) / shape_.rows())},
        std::array<std::uint32_t, 2>{push.rows, push.columns});
  }

  void lower_sums() {
    const bool serial = call_.variant() == "serial";
    const std::uint32_t size = serial ? 32 : 128, lanes = serial ? 1 : 32;
    const std::int64_t columns = size / lanes, width = (call_.in(0).cols + 3) / 4, sums = norm_.sums * width;
    graph::Launch launch{.shader = norm_.name + "_params_sum",
                         .constants = {size, lanes},
                         .bindings = {call_.scratch(0)},
                         .groups = graph::LowerCall::grid((sums + columns - 1) / columns)};
    for (std::int64_t i = 1; i <= norm_.sums; ++i) launch.bindings.emplace_back(call_.output(std::size_t(i)));
    call_.dispatch(launch, std::array<std::uint32_t, 2>{static_cast<std::uint32_t>(chunks(call_.in(0).rows)),
                                                        static_cast<std::uint32_t>(width)});
  }

  graph::LowerCall& call_;
  NormBackward norm_;
  ReductionShape shape_{};
};

}  // namespace fabula::ops
