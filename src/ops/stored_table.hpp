#pragma once
#include "base/ceil_div.hpp"
#include "graph/op.hpp"

namespace fabula::ops {

/// Requires a table as models store one: floats, or signed bytes and, as the input `scales`, a float for each 32 of a
/// row.
inline void require_stored_table(graph::InferCall& call, std::size_t table, std::size_t scales) {
  const graph::Shape shape = call.in(table);
  const bool bytes = call.dtype(table) == graph::DType::kI8;
  call.require(bytes || graph::is_float(call.dtype(table)), "a table of floats or of signed bytes");
  call.require(bytes == call.has_input(scales), "scales with a table of bytes, and there alone");
  if (bytes)
    call.require(call.in(scales) == graph::Shape{shape.rows, ceil_div<std::int64_t>(shape.cols, 32)} &&
                     graph::is_float(call.dtype(scales)),
                 "a row of scales for each of the table's, one for 32 columns");
}

/// Rows of such a table that a launch binds; `scales` stands for the table where there are none.
struct TablePart {
  graph::RowBlock rows;
  graph::Window table, scales;
};
inline std::vector<TablePart> table_parts(graph::LowerCall& call, std::size_t table, std::size_t scales) {
  const graph::Value values = call.input(table), beside = call.input(call.has_input(scales) ? scales : table);
  std::vector<TablePart> parts;
  for (const graph::RowBlock& rows : call.row_blocks({values, beside}))
    parts.push_back({rows, graph::Window(values, rows.begin, rows.end), graph::Window(beside, rows.begin, rows.end)});
  return parts;
}

}  // namespace fabula::ops
