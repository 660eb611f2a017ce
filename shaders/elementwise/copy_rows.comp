#version 450
#extension GL_GOOGLE_include_directive : require
// y[to + i] = x[from + i]: whole rows, padding included, as flat words.
#include "grid.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer X { uvec4 x[]; };
layout(set = 0, binding = 1) writeonly buffer Y { uvec4 y[]; };
layout(push_constant) uniform Push {
  uint vec4_count;
  uint from, to;  // vec4s: where the rows begin in x and in y
};

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i < vec4_count) y[to + i] = x[from + i];
}
