#version 450
#extension GL_GOOGLE_include_directive : require
// d_scale[g] = sum over the chunks of g of their sums of d_z u, in order; d_shift[g] likewise of d_z. Groups without a chunk get zero.
#include "grid.glsl"
layout(local_size_x = 64) in;  // one vec4 of columns an invocation
layout(set = 0, binding = 0) readonly buffer Sums { vec4 sums[]; };       // a chunk of this call: d_shift, d_scale
layout(set = 0, binding = 1) readonly buffer Plan { uint plan[]; };       // base/group_plan.hpp
layout(set = 0, binding = 2) buffer DScale { vec4 d_scale[]; };           // groups of this call, [groups, S]
layout(set = 0, binding = 3) buffer DShift { vec4 d_shift[]; };
layout(push_constant) uniform Push {
  uint first_group;   // of this call
  uint groups;        // of this call
  uint first_chunk;   // of this call
  uint chunks;        // of this call
  uint group_chunks;  // where the first chunk of each group stands in plan
  uint stride4;       // vec4s of a row
  uint add;           // 1: add to an earlier call's results
};

void main() {
  uint i = linear_group() * 64 + gl_LocalInvocationID.x;
  if (i >= groups * stride4) return;
  uint at = group_chunks + first_group + i / stride4, k = i % stride4;
  uint begin = max(plan[at], first_chunk), end = min(plan[at + 1], first_chunk + chunks);
  vec4 scale_sum = vec4(0.0), shift_sum = vec4(0.0);
  if (add != 0) {
    if (begin >= end) return;
    scale_sum = d_scale[i];
    shift_sum = d_shift[i];
  }
  for (uint chunk = begin; chunk < end; ++chunk) {
    uint from = 2 * (chunk - first_chunk) * stride4 + k;
    shift_sum += sums[from];
    scale_sum += sums[from + stride4];
  }
  d_scale[i] = scale_sum;
  d_shift[i] = shift_sum;
}
