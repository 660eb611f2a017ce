#version 450
#extension GL_GOOGLE_include_directive : require
// into += x
#include "grid.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) buffer Into { vec4 into[]; };
layout(set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(push_constant) uniform Push { uint vec4_count; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i < vec4_count) into[i] += x[i];
}
