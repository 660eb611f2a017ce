#version 450
#extension GL_GOOGLE_include_directive : require
// y = x s[0] over the flat words of a value; its padding stays zero whatever s[0] is.
#include "grid.glsl"
#include "columns.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer S { float s[]; };   // [1, 1]
layout(set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = 2) writeonly buffer Y { vec4 y[]; };   // may be X
layout(push_constant) uniform Push { uint vec4_count, columns; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i < vec4_count) y[i] = within_columns(x[i] * s[0], i % ((columns + 3) / 4), columns);
}
