#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// stats = (log_sum_exp / ln 2, delta = sum(d_out * out)) of every row and head; an invocation takes one of them.
#include "grid.glsl"
#include "values.glsl"
#include "attention.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD = 32;
READ_VALUES(0, Out, out_words)
READ_VALUES(1, DOut, d_out_words)
layout(set = 0, binding = 2) readonly buffer LogSumExp { float log_sum_exp[]; };
layout(set = 0, binding = 3) writeonly buffer Stats { vec2 stats[]; };

void main() {
  uint x = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  if (x >= sequences * positions * heads) return;
  uint row = first_row + x / heads, head = x % heads;
  vec4 sum = vec4(0);
  [[unroll]] for (uint d = 0; d < HEAD / 4; ++d) {
    uint word = row * (out_ld / 4) + head * (HEAD / 4) + d;
    sum += out_words(word) * d_out_words(word);
  }
  stats[row * stats_ld / 2 + head] = vec2(log_sum_exp[row * log_sum_exp_ld + head] * kLog2E, sum.x + sum.y + sum.z + sum.w);
}
