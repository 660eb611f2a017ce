#include "base/ceil_div.hpp"
#include "ops/reduction.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
constexpr std::int64_t kMostHeldSubgroup = 4, kMostHeldTile = 8;  // vec4s of a row in an invocation's registers

void infer(InferCall& call) {
  const Shape x = call.in(0);
  call.require(call.in(1) == Shape{1, x.cols} && call.in(2) == Shape{x.rows, 2} && call.in(3) == x,
               "x and d_y are [N, D], weight is [1, D], stats [N, 2]");
  call.require(!call.has_input(4) || call.in(4) == x, "d_residual has the shape of x");
  call.require(call.dtype(3) == x.dtype && (!call.has_input(4) || call.dtype(4) == x.dtype),
               "d_y and d_residual have the type of x");
  call.output(x);
  call.output({1, x.cols});
  call.output({1, x.cols});
}

std::int64_t width_of(const NodeView& node) {
  return node.in(0).ld() / 4;
}

ReductionShape shape_of(std::string_view variant, const NodeView& node, const vk::DeviceProfile& profile) {
  return variant == kSubgroup ? subgroup_reduction_shape(reduction_subgroup_size(profile), width_of(node))
                              : reduction_shape(variant, width_of(node));
}

/// One kernel for all three outputs: where a row lies in registers.
bool is_fused(std::string_view variant, const ReductionShape& shape, std::int64_t width) {
  return variant == kSubgroup || (variant == "tile" && shape.held(width) <= kMostHeldTile);
}

/// Positions whose sums become one row of scratch: a divisor of 64, where row blocks start. Enough chunks to fill a
/// GPU, not more: each costs two rows written and read again.
std::int64_t chunk_positions(std::string_view variant, std::int64_t positions) {
  if (variant == "serial") return 64;
  return positions >= 16384 ? 32 : 16;
}

std::int64_t chunk_count(std::string_view variant, std::int64_t positions, std::int64_t all_positions) {
  return ceil_div(positions, chunk_positions(variant, all_positions));
}

Window rows_of(Value value, const RowBlock& block) {
  return {value, block.begin, block.end};
}

struct Push {
  std::uint32_t rows, columns, first_chunk;
};

void lower_fused(LowerCall& call, const ReductionShape& shape, const RowBlock& block, const Push& push) {
  const bool subgroup = call.variant() == kSubgroup;
  const Value residual = call.input(4);
  const auto chunk = static_cast<std::uint32_t>(chunk_positions(call.variant(), call.in(0).rows));
  call.dispatch({.shader = subgroup ? "layer_norm_backward_fused_subgroup" : "layer_norm_backward_fused",
                 .constants = {shape.size, shape.lanes, static_cast<std::uint32_t>(shape.held(width_of(call))), chunk,
                               bool(residual)},
                 .subgroup_size = subgroup ? reduction_subgroup_size(call.profile()) : 0,
                 .bindings = {rows_of(call.input(0), block), call.input(1), rows_of(call.input(2), block),
                              rows_of(call.input(3), block), rows_of(call.output(), block), call.scratch(0),
                              rows_of(residual ? residual : call.input(3), block)},
                 .groups = LowerCall::grid(chunk_count(call.variant(), block.size(), call.in(0).rows))},
                push);
}

void lower_apart(LowerCall& call, const ReductionShape& shape, const RowBlock& block, const Push& push) {
  const Value residual = call.input(4);
  const std::int64_t chunks = chunk_count(call.variant(), block.size(), call.in(0).rows);
  const auto chunk = static_cast<std::uint32_t>(chunk_positions(call.variant(), call.in(0).rows));
  // First, since d_x may take the place of d_y.
  call.dispatch({.shader = "layer_norm_backward_params_chunks",
                 .constants = {chunk},
                 .bindings = {rows_of(call.input(0), block), rows_of(call.input(2), block),
                              rows_of(call.input(3), block), call.scratch(0)},
                 .groups = LowerCall::grid((chunks * width_of(call) + 127) / 128)},
                push);
  call.dispatch({.shader = "layer_norm_backward",
                 .constants = {shape.size, shape.lanes, bool(residual)},
                 .bindings = {rows_of(call.input(0), block), call.input(1), rows_of(call.input(2), block),
                              rows_of(call.input(3), block), rows_of(call.output(), block),
                              rows_of(residual ? residual : call.input(3), block)},
                 .groups = LowerCall::grid((block.size() + shape.rows() - 1) / shape.rows())},
                std::array<std::uint32_t, 2>{push.rows, push.columns});
}

void lower(LowerCall& call) {
  const Shape& x = call.in(0);
  const ReductionShape shape = shape_of(call.variant(), call, call.profile());
  const bool fused = is_fused(call.variant(), shape, width_of(call));
  const Value residual = call.input(4);
  for (const RowBlock& block : call.row_blocks(
           {call.input(0), call.input(2), call.input(3), call.output(), residual ? residual : call.input(3)})) {
    const Push push{static_cast<std::uint32_t>(block.size()), static_cast<std::uint32_t>(x.cols),
                    static_cast<std::uint32_t>(chunk_count(call.variant(), block.begin, x.rows))};
    (fused ? lower_fused : lower_apart)(call, shape, block, push);
  }
  const std::uint32_t size = call.variant() == "serial" ? 32 : 128, lanes = call.variant() == "serial" ? 1 : 32;
  const std::int64_t columns = size / lanes, sums = 2 * ((x.cols + 3) / 4);
  call.dispatch({.shader = "layer_norm_backward_params_sum",
                 .constants = {size, lanes},
                 .bindings = {call.scratch(0), call.output(1), call.output(2)},
                 .groups = LowerCall::grid((sums + columns - 1) / columns)},
                std::array<std::uint32_t, 2>{static_cast<std::uint32_t>(chunk_count(call.variant(), x.rows, x.rows)),
                                             static_cast<std::uint32_t>(sums / 2)});
}
}  // namespace

extern const OpDef layer_norm_backward;
const OpDef layer_norm_backward{
    .name = "layer_norm_backward",
    .formula =
        "d_x = d_residual + rstd (g - mean(g) - h mean(g h)), g = d_y weight, h = (x - mean) rstd; d_weight = "
        "sum_n d_y[n] h[n], d_bias = sum_n d_y[n]",
    .inputs = {"x", "weight", "stats", "d_y", "d_residual?"},
    .infer = infer,
    .lower = lower,
    .cost =
        [](const NodeView& node) {
          const double passes = node.has_input(4) ? 4 : 3;
          return Cost{.flops = 20.0 * double(node.in(0).count()), .bytes = passes * double(node.in(0).bytes())};
        },
    .variants =
        [](const NodeView& node, const vk::DeviceProfile& profile) {
          return row_reduction_variants(node, profile, width_of(node), kMostHeldSubgroup);
        },
    .scratch =
        [](const NodeView& node, const vk::DeviceProfile&, std::string_view variant) {
          const Shape& x = node.in(0);
          return std::vector<Shape>{{chunk_count(variant, x.rows, x.rows), 2 * ((x.cols + 3) / 4 * 4)}};
        },
    .in_place = {{0, 3}, {0, 4}},
    .half = {"x", "d_y", "d_residual"},
};

}  // namespace fabula::ops
