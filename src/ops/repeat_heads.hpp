#pragma once
#include <string>

#include "graph/op.hpp"

// What repeat_heads and its gradient share: the narrow value has `heads` heads, the wide one each of them `repeats`
// times.
namespace fabula::ops {

inline void infer_repeat_heads(graph::InferCall& call, bool backward) {
  const std::int64_t heads = call.attrs().integer("heads"), repeats = call.attrs().integer("repeats");
  call.require(heads > 0 && repeats > 0, "heads and repeats are above zero");
  const graph::Shape given = call.in(0);
  const std::int64_t parts = backward ? heads * repeats : heads;
  call.require(given.cols % parts == 0, "columns are a multiple of the heads");
  call.output({given.rows, backward ? given.cols / repeats : given.cols * repeats}, given.dtype);
}

inline void lower_repeat_heads(graph::LowerCall& call, const std::string& shader, bool backward) {
  struct Push {
    std::uint32_t rows, columns, x_columns, size, repeats;
  };
  const graph::Shape wide = backward ? call.in(0) : call.out(), narrow = backward ? call.out() : call.in(0);
  const std::int64_t size = narrow.cols / call.attrs().integer("heads");
  for (const graph::RowBlock& block : call.row_blocks({call.input(0), call.output()})) {
    const std::int64_t vec4s = block.size() * call.out().ld() / 4;
    call.dispatch({.shader = shader,
                   .constants = {size % 4 == 0},
                   .bindings = {{call.input(0), block.begin, block.end}, {call.output(), block.begin, block.end}},
                   .groups = graph::LowerCall::grid((vec4s + 127) / 128)},
                  Push{std::uint32_t(block.size()), std::uint32_t(wide.cols), std::uint32_t(narrow.cols),
                       std::uint32_t(size), std::uint32_t(call.attrs().integer("repeats"))});
  }
}

inline graph::Cost cost_of_repeat_heads(const graph::NodeView& node) {
  return {.flops = 0, .bytes = double(node.in(0).bytes()) + double(node.out().bytes())};
}

}  // namespace fabula::ops
