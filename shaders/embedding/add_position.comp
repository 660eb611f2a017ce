#version 450
#extension GL_GOOGLE_include_directive : require
// y[n] = x[n] + table[n % sequence], for the positions whose table row is within the bound rows [row_begin, row_end).
#include "grid.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = 1) readonly buffer Table { vec4 table[]; };
layout(set = 0, binding = 2) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { uint positions, position_begin, width, sequence, row_begin, row_end; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint n = i / width, c = i % width;
  if (n >= positions) return;
  uint t = (position_begin + n) % sequence;
  if (t >= row_begin && t < row_end) y[i] = x[i] + table[(t - row_begin) * width + c];
}
