#version 450
#extension GL_GOOGLE_include_directive : require
// d_x = d_y * gelu'(x)
#include "grid.glsl"
#include "gelu.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
READ_VALUES(0, X, x)
READ_VALUES(1, DY, d_y)
WRITE_VALUES(2, DX, d_x)
layout(push_constant) uniform Push { uint vec4_count; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i >= vec4_count) return;
  vec4 v = x(i);
  set_d_x(i, d_y(i) * vec4(d_gelu(v.x), d_gelu(v.y), d_gelu(v.z), d_gelu(v.w)));
}
