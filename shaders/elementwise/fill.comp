#version 450
#extension GL_GOOGLE_include_directive : require
// y = value in every column, zero in the padding.
#include "grid.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push {
  uint vec4_count, stride;  // of y; stride: vec4s a row
  uint cols;
  float value;
};

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i >= vec4_count) return;
  uvec4 col = i % stride * 4 + uvec4(0, 1, 2, 3);
  y[i] = mix(vec4(0), vec4(value), lessThan(col, uvec4(cols)));
}
