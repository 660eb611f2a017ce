#version 450
#extension GL_GOOGLE_include_directive : require
// d_z[n, s] = (exp(z[n, s] - log_sum_exp[n]) - (s == slot)) d_loss[n]; d_u = d_z scale[g]; a chunk of at most 64 positions of one
// group g also sums d_z (for d_shift) and d_z u (for d_scale), in the order of the positions.
// GIVEN: d_z comes from a later op.
//! variant grouped_cross_entropy_backward
//! variant group_affine_backward GIVEN
#include "grid.glsl"
#include "numbers.glsl"
layout(local_size_x_id = 0) in;  // one vec4 of columns an invocation
layout(set = 0, binding = 0) readonly buffer U { vec4 u[]; };                      // rows of this call, [rows, S]
layout(set = 0, binding = 1) readonly buffer Scale { vec4 scale[]; };              // groups of this call, [groups, S]
layout(set = 0, binding = 2) readonly buffer Plan { uint plan[]; };                // base/group_plan.hpp
layout(set = 0, binding = 3) writeonly buffer DU { vec4 d_u[]; };                  // rows of this call; may be U or DZ
layout(set = 0, binding = 4) buffer Sums { vec4 sums[]; };                         // a chunk of this call: d_shift, d_scale
#ifdef GIVEN
layout(set = 0, binding = 5) readonly buffer DZ { vec4 given_d_z[]; };             // rows of this call, [rows, S]
#else
layout(set = 0, binding = 5) readonly buffer Shift { vec4 shift[]; };              // groups of this call, [groups, S]
layout(set = 0, binding = 6) readonly buffer LogSumExp { float log_sum_exp[]; };   // [1, positions]
layout(set = 0, binding = 7) readonly buffer DLoss { float d_loss[]; };            // [1, positions]
#endif
layout(push_constant) uniform Push {
  uint first_row;     // of this call
  uint end_row;       // of this call
  uint first_group;   // of this call
  uint end_group;     // of this call
  uint first_chunk;   // of this call
  uint chunks;        // of this call
  uint entries;       // where the entries (position, slot) begin in plan
  uint stride4;       // vec4s of a row
  uint add;           // 1: add to the sums of an earlier call
};

void main() {
  uint tiles = (stride4 + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;
  uint chunk = linear_group() / tiles;
  uint k = linear_group() % tiles * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (chunk >= chunks || k >= stride4) return;
  uint record = 4 * (first_chunk + chunk);
  uint group = plan[record], begin = plan[record + 1], count = plan[record + 2], real_slots = plan[record + 3];
  bool ignored = group == kNone;
  if (count == 0 || (ignored ? first_group != 0 : group < first_group || group >= end_group)) return;

  uint table = ignored ? 0 : (group - first_group) * stride4 + k, out_at = 2 * chunk * stride4 + k;
  vec4 group_scale = scale[table];
#ifndef GIVEN
  vec4 group_shift = shift[table];
#endif
  vec4 d_shift = vec4(0.0), d_scale = vec4(0.0);
  if (add != 0) {
    d_shift = sums[out_at];
    d_scale = sums[out_at + stride4];
  }
  uvec4 column = uvec4(4 * k) + uvec4(0, 1, 2, 3);
  bvec4 real = lessThan(column, uvec4(ignored ? 0u : real_slots));
  for (uint i = 0; i < count; ++i) {
    uint position = plan[entries + 2 * (begin + i)];
    if (position < first_row || position >= end_row) continue;
    uint at = (position - first_row) * stride4 + k;
    vec4 x = u[at];
#ifdef GIVEN
    vec4 d_z = mix(vec4(0.0), given_d_z[at], real);
#else
    uint slot = plan[entries + 2 * (begin + i) + 1];
    float lse = log_sum_exp[position];
    precise vec4 z = group_scale * x + group_shift;
    // What the forward pass marked as non-finite stays so: exp() of a NaN is not one on every driver.
    vec4 p = exp(max(z - lse, vec4(-104.0))) + uintBitsToFloat(not_finite(lse) ? kNanBits : 0u);
    p -= mix(vec4(0.0), vec4(1.0), equal(column, uvec4(slot)));
    vec4 d_z = mix(vec4(0.0), p * d_loss[position], real);
#endif
    d_u[at] = mix(vec4(0.0), d_z * group_scale, real);
    d_shift += d_z;
    d_scale += mix(vec4(0.0), d_z * x, real);
  }
  sums[out_at] = d_shift;
  sums[out_at + stride4] = d_scale;
}
