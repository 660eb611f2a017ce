#version 450
#extension GL_GOOGLE_include_directive : require
// The sum of x^2 of each chunk of chunk4 vec4s. A chunk beyond the end gives zero; one that meets an infinity or a NaN is marked
// (nonfinite.glsl).
#include "grid.glsl"
#include "numbers.glsl"
#include "nonfinite.glsl"
#include "row_reduce.glsl"
layout(set = 0, binding = 0) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = 1) writeonly buffer Sums { float sums[]; };
layout(push_constant) uniform Push { uint vec4_count, chunk4, chunks, first_sum; };

void main() {
  uint chunk = linear_group() * rows_per_group() + row_in_group();
  uint end = chunk < chunks ? min((chunk + 1) * chunk4, vec4_count) : 0;
  vec4 sum = vec4(0);
  uint magnitude = 0;
  for (uint i = chunk * chunk4 + row_lane(); i < end; i += kLanes) {
    vec4 v = x[i];
    sum += v * v;
    magnitude = max(magnitude, magnitude_bits(v));
  }
  bool seen = magnitude >= kInfinityBits;
  vec2 total = row_sum(vec2((sum.x + sum.y) + (sum.z + sum.w), seen ? 1.0 : 0.0));
  if (chunk < chunks && row_lane() == 0) sums[first_sum + chunk] = mark_nonfinite(total.x, total.y != 0.0);
}
