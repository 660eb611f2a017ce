#version 450
#extension GL_GOOGLE_include_directive : require
// y = silu(gate) up, over the flat words of a value (padding zero stays zero).
#include "grid.glsl"
#include "silu.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
READ_VALUES(0, Gate, gate)
READ_VALUES(1, Up, up)
WRITE_VALUES(2, Y, y)
layout(push_constant) uniform Push { uint vec4_count; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i >= vec4_count) return;
  vec4 v = gate(i);
  set_y(i, up(i) * vec4(silu(v.x), silu(v.y), silu(v.z), silu(v.w)));
}
