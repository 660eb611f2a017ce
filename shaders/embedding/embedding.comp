#version 450
#extension GL_GOOGLE_include_directive : require
// y[n] = table[ids[n]] for the ids within the bound rows [row_begin, row_end) of the table; an id outside the table gives a zero row,
// written by the launch that holds row 0.
#include "grid.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer Ids { uint ids[]; };
layout(set = 0, binding = 1) readonly buffer Table { vec4 table[]; };
layout(set = 0, binding = 2) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { uint positions, position_begin, width, row_begin, row_end, vocabulary; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint n = i / width, c = i % width;
  if (n >= positions) return;
  uint id = ids[position_begin + n];
  if (id >= row_begin && id < row_end) {
    y[i] = table[(id - row_begin) * width + c];
  } else if (id >= vocabulary && row_begin == 0) {
    y[i] = vec4(0);
  }
}
