#version 450
#extension GL_GOOGLE_include_directive : require
// y[r] = x[r] + table[row_of[token]] of the token that stands in a step's row r. A launch that binds a part of the table writes the
// rows whose class lies there, the first also those that have none.
#include "grid.glsl"
#include "columns.glsl"
#include "values.glsl"
#include "weights.glsl"
#include "decode_slot.glsl"
layout(local_size_x = 128) in;
WRITE_VALUES(0, Y, y)
READ_VALUES(1, X, x)
layout(set = 0, binding = 2) readonly buffer Places { uint places[]; };
layout(set = 0, binding = 3) readonly buffer RowOf { uint row_of[]; };
#include "stored_table.glsl"
layout(push_constant) uniform Push { uint rows, columns, row_begin, row_end, table_rows, vocabulary; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint width = row_vec4s(columns, TYPE_OF(0));
  uint r = i / width, c = i % width;
  if (r >= rows) return;
  uint token = places[r * kPlaceWords + kPlaceToken];
  uint row = token < vocabulary ? row_of[token] : table_rows;
  bool here = row >= row_begin && row < row_end;
  if (!here && (row < table_rows || row_begin != 0)) return;
  vec4 v = x(i);
  if (here && c < (columns + 3) / 4) v += table_row(row - row_begin, columns, c);
  set_y(i, v);
}
