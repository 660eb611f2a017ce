#version 450
#extension GL_GOOGLE_include_directive : require
// y[n] = x[n] + table[n % sequence], for the positions whose table row is within the bound rows [row_begin, row_end).
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
READ_VALUES(0, X, x)
layout(set = 0, binding = 1) readonly buffer Table { vec4 table[]; };
WRITE_VALUES(2, Y, y)
layout(push_constant) uniform Push { uint positions, position_begin, columns, sequence, row_begin, row_end; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint width = row_vec4s(columns, TYPE_OF(2)), table_width = row_vec4s(columns, kFp32);
  uint n = i / width, c = i % width;
  if (n >= positions) return;
  uint t = (position_begin + n) % sequence;
  if (t < row_begin || t >= row_end) return;
  set_y(i, c < table_width ? x(i) + table[(t - row_begin) * table_width + c] : vec4(0));
}
