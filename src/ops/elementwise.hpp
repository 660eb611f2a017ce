#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>

#include "graph/op.hpp"

namespace fabula::ops {

/// Launches a shader that treats `values` (bound in this order, all of one shape) as flat vec4 arrays: 128 invocations a
/// workgroup, one vec4 each, push constant {uint vec4_count}. Cut into row blocks where a binding would be too large.
inline void lower_flat(graph::LowerCall& call, const std::string& shader, std::initializer_list<graph::Value> values,
                       const graph::Shape& shape) {
  for (const graph::RowBlock& block : call.row_blocks(values)) {
    const std::uint32_t vec4_count = static_cast<std::uint32_t>(block.size() * shape.ld() / 4);
    graph::Launch launch{.shader = shader, .groups = graph::LowerCall::grid((vec4_count + 127) / 128)};
    for (graph::Value value : values) launch.bindings.emplace_back(value, block.begin, block.end);
    call.dispatch(launch, vec4_count);
  }
}

}  // namespace fabula::ops
