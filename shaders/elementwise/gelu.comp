#version 450
#extension GL_GOOGLE_include_directive : require
// y = gelu(x), tanh form, over the flat words of a value (padding zero stays zero).
#include "grid.glsl"
#include "gelu.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
READ_VALUES(0, X, x)
WRITE_VALUES(1, Y, y)
layout(push_constant) uniform Push { uint vec4_count; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i >= vec4_count) return;
  vec4 v = x(i);
  set_y(i, vec4(gelu(v.x), gelu(v.y), gelu(v.z), gelu(v.w)));
}
