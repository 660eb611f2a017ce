#pragma once
#include "base/segments.hpp"
#include "graph/op.hpp"

namespace fabula::ops {

/// y[n] = table[ids[n]], zero where there is no such row; both in row blocks.
inline void lower_row_lookup(graph::LowerCall& call, graph::Value ids, graph::Value table, std::int64_t table_rows) {
  using graph::RowBlock;
  const auto u32 = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  const std::int64_t width = call.out().ld() / 4;
  for (const RowBlock& rows : call.row_blocks({table})) {
    for (const RowBlock& block : call.row_blocks({call.output()})) {
      call.dispatch({.shader = "embedding",
                     .bindings = {ids, {table, rows.begin, rows.end}, {call.output(), block.begin, block.end}},
                     .groups = graph::LowerCall::grid((block.size() * width + 127) / 128)},
                    std::array<std::uint32_t, 6>{u32(block.size()), u32(block.begin), u32(call.out().cols),
                                                 u32(rows.begin), u32(rows.end), u32(table_rows)});
    }
  }
}

/// Scratch of the sum over segments: a row for each chunk of a token that has more than one.
inline graph::Shape segment_partials(std::int64_t positions, const graph::Shape& d_table) {
  return {std::max<std::int64_t>(1, SegmentCapacity{positions, d_table.rows}.partials()), d_table.cols};
}

/// Adds the segment sums of d_y [N, D] into d_table [V, D]. Both are cut into row blocks where they must be: a chunk
/// sums its positions block by block, in order.
inline void lower_segment_sum(graph::LowerCall& call, graph::Value order, graph::Value segments, graph::Value d_y,
                              graph::Value d_table, const graph::Shape& positions, const graph::Shape& table) {
  using graph::LowerCall;
  using graph::RowBlock;
  const SegmentCapacity capacity{positions.rows, table.rows};
  const std::int64_t width = table.ld() / 4;
  const auto u32 = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  const std::vector<RowBlock> table_blocks = call.row_blocks({d_table});
  for (const RowBlock& rows : table_blocks) {
    for (const RowBlock& block : call.row_blocks({d_y})) {
      call.dispatch(
          {.shader = "embedding_backward_chunks",
           .bindings =
               {order, segments, {d_y, block.begin, block.end}, {d_table, rows.begin, rows.end}, call.scratch(0)},
           .groups = LowerCall::grid((capacity.chunks() * width + 127) / 128)},
          std::array<std::uint32_t, 5>{u32(table.cols), u32(rows.begin), u32(rows.end), u32(block.begin),
                                       u32(block.end)});
    }
  }
  if (capacity.merges() == 0) return;
  for (const RowBlock& rows : table_blocks) {
    call.dispatch(
        {.shader = "embedding_backward_merge",
         .bindings = {segments, call.scratch(0), {d_table, rows.begin, rows.end}},
         .groups = LowerCall::grid((capacity.merges() * width + 127) / 128)},
        std::array<std::uint32_t, 4>{u32(width), u32(rows.begin), u32(rows.end), u32(capacity.merge_begin())});
  }
}

}  // namespace fabula::ops
