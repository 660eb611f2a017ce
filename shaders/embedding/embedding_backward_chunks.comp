#version 450
#extension GL_GOOGLE_include_directive : require
// d_table[v] += sum over the positions n with ids[n] = v of d_y[n]. Stage 1 of 2: an invocation for each chunk (at most 64 positions of
// one token, base/segments.hpp) and vec4 of columns. A token's only chunk goes to its row of the table, others to a row of `partial`.
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer Order { uint order[]; };
layout(set = 0, binding = 1) readonly buffer Segments { uvec4 segments[]; };  // {chunks, ...}, then chunks {key, begin, count, partial row}
READ_VALUES(2, DY, d_y)                                                       // positions [position_begin, position_end)
layout(set = 0, binding = 3) buffer DTable { vec4 d_table[]; };               // rows [row_begin, row_end)
layout(set = 0, binding = 4) buffer Partial { vec4 partial[]; };
layout(push_constant) uniform Push { uint columns, row_begin, row_end, position_begin, position_end; };
const uint kNoPartial = 0xFFFFFFFFu;

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint width = row_vec4s(columns, kFp32), d_y_width = row_vec4s(columns, TYPE_OF(2));
  uint index = i / width, c = i % width;
  if (index >= segments[0].x) return;
  uvec4 chunk = segments[1 + index];
  bool direct = chunk.w == kNoPartial;
  // Partial rows are summed by the launches that hold row 0 of the table.
  if (direct ? chunk.x < row_begin || chunk.x >= row_end : row_begin != 0) return;
  vec4 sum = vec4(0);
  for (uint k = 0; k < chunk.z; ++k) {
    uint n = order[chunk.y + k];
    if (n >= position_begin && n < position_end) sum += d_y((n - position_begin) * d_y_width + c);
  }
  if (direct) {
    d_table[(chunk.x - row_begin) * width + c] += sum;
  } else {
    if (position_begin != 0) sum += partial[chunk.w * width + c];
    partial[chunk.w * width + c] = sum;
  }
}
