#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>

#include "graph/op.hpp"

namespace fabula::ops {

/// Launches a shader that treats `values` (all of one shape) as flat vec4 arrays: 128 invocations a workgroup, one vec4
/// each. The values of `whole` are bound first, then `values`, cut into row blocks where a binding would be too large.
/// `make_push(vec4_count, first)` gives a block's push constants; `first` is the number of its first vec4 in the value.
/// (More than one vec4 an invocation: no faster on the software driver, slower from 16 on.)
template <class MakePush>
void lower_flat(graph::LowerCall& call, const std::string& shader, std::initializer_list<graph::Value> whole,
                std::initializer_list<graph::Value> values, const graph::Shape& shape, MakePush make_push) {
  for (const graph::RowBlock& block : call.row_blocks(values)) {
    const std::int64_t vec4_count = block.size() * shape.ld() / 4;
    graph::Launch launch{.shader = shader, .groups = graph::LowerCall::grid((vec4_count + 127) / 128)};
    for (graph::Value value : whole) launch.bindings.emplace_back(value);
    for (graph::Value value : values) launch.bindings.emplace_back(value, block.begin, block.end);
    call.dispatch(launch, make_push(static_cast<std::uint32_t>(vec4_count),
                                    static_cast<std::uint32_t>(block.begin * shape.ld() / 4)));
  }
}

/// The same with `values` alone and the push constant {uint vec4_count}.
inline void lower_flat(graph::LowerCall& call, const std::string& shader, std::initializer_list<graph::Value> values,
                       const graph::Shape& shape) {
  lower_flat(call, shader, {}, values, shape, [](std::uint32_t vec4_count, std::uint32_t) { return vec4_count; });
}

}  // namespace fabula::ops
