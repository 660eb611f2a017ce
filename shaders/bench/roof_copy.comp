#version 450
#extension GL_GOOGLE_include_directive : require
// A device's memory rate: 16 bytes read and written an invocation.
#include "grid.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer From { vec4 from_values[]; };
layout(set = 0, binding = 1) writeonly buffer To { vec4 to_values[]; };
layout(push_constant) uniform Push { uint vec4_count; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i < vec4_count) to_values[i] = from_values[i];
}
