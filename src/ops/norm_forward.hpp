#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "ops/reduction.hpp"

// The lowering that layer_norm and rms_norm share. Inputs: x [N, D], then the parameters [1, D]; outputs: y and stats.
namespace fabula::ops {

inline constexpr std::int64_t kMostHeldNorm = 16;  // vec4s of a row that an invocation keeps in registers

/// `shader`: of the kernel that all devices run.
inline void lower_norm(graph::LowerCall& call, const std::string& shader) {
  struct Push {
    std::uint32_t rows, columns;
    float eps;
  };
  const std::int64_t width = call.in(0).ld() / 4;
  const bool subgroup = call.variant() == kSubgroup;
  const std::uint32_t subgroup_size = subgroup ? reduction_subgroup_size(call.profile()) : 0;
  const ReductionShape shape =
      subgroup ? subgroup_reduction_shape(subgroup_size, width) : reduction_shape(call.variant(), width);
  const std::int64_t held = shape.held(width);
  for (const graph::RowBlock& block : call.row_blocks({call.input(0), call.output(0), call.output(1)})) {
    graph::Launch launch{.shader = subgroup ? shader + "_subgroup" : shader,
                         .constants = shape.constants(),
                         .subgroup_size = subgroup_size,
                         .bindings = {{call.input(0), block.begin, block.end}},
                         .groups = graph::LowerCall::grid((block.size() + shape.rows() - 1) / shape.rows())};
    for (std::size_t i = 1; i < call.input_count(); ++i) launch.bindings.emplace_back(call.input(i));
    for (std::size_t i = 0; i < 2; ++i) launch.bindings.emplace_back(call.output(i), block.begin, block.end);
    launch.constants.push_back(shape.lanes > 1 && held <= kMostHeldNorm ? static_cast<std::uint32_t>(held) : 0);
    call.dispatch(launch, Push{static_cast<std::uint32_t>(block.size()), static_cast<std::uint32_t>(call.in(0).cols),
                               static_cast<float>(call.attrs().get("eps"))});
  }
}

inline std::vector<std::string> norm_variants(const graph::NodeView& node, const vk::DeviceProfile& profile) {
  return row_reduction_variants(node, profile, node.in(0).ld() / 4, kMostHeldNorm);
}

}  // namespace fabula::ops
