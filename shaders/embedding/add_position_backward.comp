#version 450
#extension GL_GOOGLE_include_directive : require
// d_table[t] = sum over sequences b of d_y[b sequence + t], zero for t >= sequence
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
READ_VALUES(0, DY, d_y)                                           // positions [position_begin, position_end)
layout(set = 0, binding = 1) buffer DTable { vec4 d_table[]; };   // rows [row_begin, row_begin + rows)
layout(push_constant) uniform Push { uint rows, row_begin, columns, sequence, position_begin, position_end; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint width = row_vec4s(columns, kFp32), d_y_width = row_vec4s(columns, TYPE_OF(0));
  uint row = i / width, c = i % width;
  if (row >= rows) return;
  uint t = row_begin + row;
  vec4 sum = position_begin == 0 ? vec4(0) : d_table[i];
  if (t < sequence) {
    // The first sequence whose position t is not before position_begin.
    uint b = position_begin <= t ? 0 : (position_begin - t + sequence - 1) / sequence;
    for (uint n = b * sequence + t; n < position_end; n += sequence) sum += d_y((n - position_begin) * d_y_width + c);
  }
  d_table[i] = sum;
}
