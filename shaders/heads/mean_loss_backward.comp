#version 450
#extension GL_GOOGLE_include_directive : require
// d_loss[n] = scale[0] d
#include "grid.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer Scale { float scale[]; };     // [1, 4]
layout(set = 0, binding = 1) readonly buffer D { float d[]; };             // [1, 1]
layout(set = 0, binding = 2) writeonly buffer DLoss { vec4 d_loss[]; };    // [1, positions]
layout(push_constant) uniform Push { uint positions; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i >= (positions + 3) / 4) return;
  bvec4 real = lessThan(uvec4(4 * i) + uvec4(0, 1, 2, 3), uvec4(positions));
  d_loss[i] = mix(vec4(0.0), vec4(scale[0] * d[0]), real);
}
