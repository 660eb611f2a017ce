#version 450
#extension GL_GOOGLE_include_directive : require
// d_gate = d_y up silu'(gate), d_up = d_y silu(gate)
#include "grid.glsl"
#include "silu.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
READ_VALUES(0, Gate, gate)
READ_VALUES(1, Up, up)
READ_VALUES(2, DY, d_y)
WRITE_VALUES(3, DGate, d_gate)
WRITE_VALUES(4, DUp, d_up)
layout(push_constant) uniform Push { uint vec4_count; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i >= vec4_count) return;
  vec4 v = gate(i), d = d_y(i), u = up(i);
  set_d_gate(i, d * u * vec4(d_silu(v.x), d_silu(v.y), d_silu(v.z), d_silu(v.w)));
  set_d_up(i, d * vec4(silu(v.x), silu(v.y), silu(v.z), silu(v.w)));
}
