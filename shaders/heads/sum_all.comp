#version 450
#extension GL_GOOGLE_include_directive : require
//! variant sum_all
//! variant mean_loss SCALED=1
// sum[g] = the sum of the g-th slice of x (mean_loss: times scale[0]), in a fixed order; a NaN or an infinity gives a NaN.
#include "grid.glsl"
#include "numbers.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer X { vec4 x[]; };  // padding is zero
layout(set = 0, binding = 1) writeonly buffer Sum { uint sum_bits[]; };
#ifdef SCALED
layout(set = 0, binding = 2) readonly buffer Scale { float scale[]; };
#endif
layout(push_constant) uniform Push {
  uint vec4_count;  // of this call
  uint slice4;      // vec4s of a slice: one workgroup each
  uint first_sum;   // where this call's sums begin
  uint sums;        // of all calls
};
shared float lane_sum[128];
shared uint lane_bits[128];

void main() {
  uint group = linear_group(), me = gl_LocalInvocationID.x;
  uint begin = min(group * slice4, vec4_count), end = min(begin + slice4, vec4_count);
  vec4 sum = vec4(0.0);
  uint bits = 0u;
  for (uint i = begin + me; i < end; i += 128) {
    vec4 v = x[i];
    bits = max(bits, magnitude_bits(v));
    sum += v;
  }
  lane_sum[me] = (sum.x + sum.y) + (sum.z + sum.w);
  lane_bits[me] = bits;
  barrier();
  for (uint distance = 64; distance > 0; distance /= 2) {
    if (me < distance) {
      lane_sum[me] += lane_sum[me + distance];
      lane_bits[me] = max(lane_bits[me], lane_bits[me + distance]);
    }
    barrier();
  }
  uint at = first_sum + group;
  if (me != 0 || begin >= end || at >= sums) return;
  float total = lane_sum[0];
#ifdef SCALED
  total *= scale[0];
#endif
  sum_bits[at] = lane_bits[0] >= kInfinityBits ? kNanBits : floatBitsToUint(total);
  if (at + 1 == sums) {
    for (uint i = sums; i % 4 != 0; ++i) sum_bits[i] = 0u;
  }
}
