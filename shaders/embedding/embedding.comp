#version 450
#extension GL_GOOGLE_include_directive : require
// y[n] = table[ids[n]] for the ids within the bound rows [row_begin, row_end) of the table; an id outside the table gives a zero row,
// written by the launch that holds row 0.
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer Ids { uint ids[]; };
READ_VALUES(1, Table, table)
WRITE_VALUES(2, Y, y)
layout(push_constant) uniform Push { uint positions, position_begin, columns, row_begin, row_end, vocabulary; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint width = row_vec4s(columns, TYPE_OF(2)), table_width = row_vec4s(columns, TYPE_OF(1));
  uint n = i / width, c = i % width;
  if (n >= positions) return;
  uint id = ids[position_begin + n];
  if (id >= row_begin && id < row_end) {
    set_y(i, c < table_width ? table((id - row_begin) * table_width + c) : vec4(0));
  } else if (id >= vocabulary && row_begin == 0) {
    set_y(i, vec4(0));
  }
}
