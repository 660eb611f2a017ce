#version 450
#extension GL_GOOGLE_include_directive : require
// y = a + b over the flat words of a value (padding zero stays zero).
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
READ_VALUES(0, A, a)
READ_VALUES(1, B, b)
WRITE_VALUES(2, Y, y)
layout(push_constant) uniform Push { uint vec4_count; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i < vec4_count) set_y(i, a(i) + b(i));
}
