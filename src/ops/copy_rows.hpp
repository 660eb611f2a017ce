#pragma once
#include <algorithm>
#include <cstdint>

#include "graph/memory_plan.hpp"
#include "graph/op.hpp"

namespace fabula::ops {

/// Copies rows [from_row, from_row + rows) of `from` to the rows of `to` that begin at `to_row`; both have the columns
/// of `shape`. Neither row needs to be aligned: what is bound begins at the aligned row below, and nothing bound is
/// larger than a row block.
inline void copy_rows(graph::LowerCall& call, graph::Value from, std::int64_t from_row, graph::Value to,
                      std::int64_t to_row, std::int64_t rows, const graph::Shape& shape) {
  const std::int64_t stride4 = shape.ld() / 4;
  const auto aligned = [](std::int64_t row) { return row / graph::kRowQuantum * graph::kRowQuantum; };
  const auto source_blocks = call.row_blocks({from});
  for (const graph::RowBlock& target : call.row_blocks({to})) {
    for (const graph::RowBlock& source : source_blocks) {
      const std::int64_t move = to_row - from_row;  // of a row of `from`
      const std::int64_t begin = std::max({from_row, source.begin, target.begin - move});
      const std::int64_t end = std::min({from_row + rows, source.end, target.end - move});
      if (begin >= end) continue;
      const std::int64_t source_row = aligned(begin), target_row = aligned(begin + move);
      const struct {
        std::uint32_t vec4_count, from, to;
      } push{std::uint32_t((end - begin) * stride4), std::uint32_t((begin - source_row) * stride4),
             std::uint32_t((begin + move - target_row) * stride4)};
      call.dispatch(
          graph::Launch{.shader = "copy_rows",
                        .bindings = {graph::Window(from, source_row, end), graph::Window(to, target_row, end + move)},
                        .groups = graph::LowerCall::grid((push.vec4_count + 127) / 128)},
          push);
    }
  }
}

}  // namespace fabula::ops
