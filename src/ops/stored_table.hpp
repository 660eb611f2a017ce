#pragma once
#include "base/ceil_div.hpp"
#include "graph/op.hpp"

namespace fabula::ops {

/// Columns of a scaled table that share a scale, as in GGUF's Q8_0 and Q4_0.
inline constexpr std::int64_t kScaleGroup = 32;

/// How kernels read a table: their constant kScaled (shaders/include/weights.glsl).
enum class TableScales : std::uint32_t { kNone, kScales, kOffsets };

/// Are there offsets between the scales of a table?
inline bool has_offsets(const graph::Shape& table, const graph::Shape& scales) {
  return table.dtype == graph::DType::kU4 && scales.cols == 2 * ceil_div(table.cols, kScaleGroup);
}
inline TableScales table_scales(const graph::NodeView& node, std::size_t table, std::size_t scales) {
  if (!node.has_input(scales)) return TableScales::kNone;
  return has_offsets(node.in(table), node.in(scales)) ? TableScales::kOffsets : TableScales::kScales;
}

/// Requires that these are the scales of a scaled table: one for each 32 of a row and, where four bits have offsets,
/// the offset behind it.
inline void require_scales(graph::InferCall& call, std::size_t table, std::size_t scales) {
  const graph::Shape shape = call.in(table), given = call.in(scales);
  const std::int64_t groups = ceil_div(shape.cols, kScaleGroup);
  call.require(
      (given == graph::Shape{shape.rows, groups} || has_offsets(shape, given)) && graph::is_float(call.dtype(scales)),
      "a row of scales for each of the table's, one for 32 columns; of four bits perhaps with its offset");
}

/// Requires a table as models store one: floats, or whole numbers of few bits and the input `scales`.
inline void require_stored_table(graph::InferCall& call, std::size_t table, std::size_t scales) {
  const bool scaled = graph::is_scaled(call.dtype(table));
  call.require(scaled || graph::is_float(call.dtype(table)), "a table of floats, of signed bytes or of four bits");
  call.require(scaled == call.has_input(scales), "scales with a table of few bits, and there alone");
  if (scaled) require_scales(call, table, scales);
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
