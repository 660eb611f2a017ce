#version 450
#extension GL_GOOGLE_include_directive : require
// z[n, s] = scale[g, s] u[n, s] + shift[g, s] (+ residual[n, s]) in the real slots s of the position's group g; 0 in the others and for
// positions in no group. A target that cannot be gives NaN.
#include "grid.glsl"
#include "numbers.glsl"
layout(local_size_x = 128) in;  // one vec4 of columns an invocation
layout(set = 0, binding = 0) readonly buffer U { vec4 u[]; };                // rows of this call, [rows, S]
layout(set = 0, binding = 1) readonly buffer Scale { vec4 scale[]; };        // groups of this call, [groups, S]
layout(set = 0, binding = 2) readonly buffer Shift { vec4 shift[]; };
layout(set = 0, binding = 3) readonly buffer Targets { uvec4 targets[]; };   // a position: group, slot, slots of the group
layout(set = 0, binding = 4) readonly buffer Residual { vec4 residual[]; };  // rows of this call, when has_residual
layout(set = 0, binding = 5) writeonly buffer Z { uvec4 z_bits[]; };         // rows of this call, floats; may be U or Residual
layout(push_constant) uniform Push {
  uint rows;         // of this call
  uint first_row;    // of this call
  uint slots;        // S
  uint first_group;  // of this call
  uint end_group;    // of this call
  uint groups;       // of all calls
  uint has_residual;
};

void main() {
  uint at = linear_group() * 128 + gl_LocalInvocationID.x, stride4 = (slots + 3) / 4;
  if (at >= rows * stride4) return;
  uint row = at / stride4, k = at % stride4;
  uvec4 target = targets[first_row + row];
  uint group = target.x, real_slots = target.z;
  bool counted = group != kNone, valid = group < groups && real_slots <= slots;
  // Positions without a valid target belong to the call that holds the first group.
  if (valid ? group < first_group || group >= end_group : first_group != 0u) return;
  uvec4 z = uvec4(kNanBits);
  if (valid) {
    uint table = (group - first_group) * stride4 + k;
    precise vec4 sum = scale[table] * u[at] + shift[table];
    if (has_residual != 0) sum += residual[at];
    z = floatBitsToUint(sum);
  }
  uvec4 column = uvec4(4 * k) + uvec4(0, 1, 2, 3);
  z_bits[at] = mix(uvec4(0), z, lessThan(column, uvec4(!counted ? 0u : valid ? real_slots : slots)));
}
