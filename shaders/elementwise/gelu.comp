#version 450
#extension GL_GOOGLE_include_directive : require
// y = gelu(x), tanh form, over the flat words of a value (padding zero stays zero).
#include "grid.glsl"
#include "gelu.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = 1) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { uint vec4_count; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i >= vec4_count) return;
  vec4 v = x[i];
  y[i] = vec4(gelu(v.x), gelu(v.y), gelu(v.z), gelu(v.w));
}
