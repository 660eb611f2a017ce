#version 450
#extension GL_GOOGLE_include_directive : require
// loss[n] = log(sum_s exp(z[n, s])) - z[n, slot], z = scale[g] u + shift[g], over the real slots of the position's group g
#include "grid.glsl"
#include "numbers.glsl"
#include "row_softmax.glsl"
layout(set = 0, binding = 0) readonly buffer U { vec4 u[]; };                      // rows of this call, [rows, S]
layout(set = 0, binding = 1) readonly buffer Scale { vec4 scale[]; };              // groups of this call, [groups, S]
layout(set = 0, binding = 2) readonly buffer Shift { vec4 shift[]; };
layout(set = 0, binding = 3) readonly buffer Targets { uvec4 targets[]; };         // a position: group, slot, slots of the group
layout(set = 0, binding = 4) writeonly buffer Loss { uint loss_bits[]; };          // [1, positions], floats
layout(set = 0, binding = 5) writeonly buffer LogSumExp { uint log_sum_exp_bits[]; };
layout(set = 0, binding = 6) writeonly buffer Correct { float correct[]; };
layout(push_constant) uniform Push {
  uint rows;         // of this call
  uint first_row;    // of this call
  uint positions;    // rows of all calls
  uint slots;        // S
  uint first_group;  // of this call
  uint end_group;    // of this call
  uint groups;       // of all calls
};

vec4 modulated(uint at, uint table_at) {
  precise vec4 z = scale[table_at] * u[at] + shift[table_at];
  return z;
}

void main() {
  uint row = row_of_call(), lane = lane_of_row(), position = first_row + row;
  uint stride4 = (slots + 3) / 4, base = row * stride4;
  uvec4 target = row < rows ? targets[position] : uvec4(kNone);
  uint group = target.x, label = target.y, real_slots = target.z;
  bool counted = group != kNone;
  bool valid = group < groups && label < real_slots && real_slots <= slots;
  // Positions without a valid target belong to the call that holds the first group.
  bool mine = row < rows && (valid ? group >= first_group && group < end_group : first_group == 0u);
  RowStats stats = empty_stats();
  float label_z = 0.0;
  if (mine && valid) {
    uint table = (group - first_group) * stride4;
    label_z = modulated(base + label / 4, table + label / 4)[label % 4];
    uint full4 = real_slots / 4;
    for (uint k = lane; k < full4; k += kLanes) {
      vec4 z = modulated(base + k, table + k);
      add_entries(stats, z);
      note_beaten(stats, z, bvec4(true), 4 * k, label_z, label);
    }
    if (real_slots % 4 != 0 && lane == full4 % kLanes) {
      vec4 z = modulated(base + full4, table + full4);
      bvec4 real = columns_below(4 * full4, real_slots);
      add_entries(stats, z, real);
      note_beaten(stats, z, real, 4 * full4, label_z, label);
    }
  }
  stats = join_lanes(stats);
  if (!mine || lane != 0) return;

  float log_sum = valid ? log(stats.sum) : 0.0;
  bool bad = counted && (!valid || stats.magnitude >= kInfinityBits);
  uint loss = counted ? floatBitsToUint((stats.maximum - label_z) + log_sum) : 0u;
  uint log_sum_exp = counted ? floatBitsToUint(stats.maximum + log_sum) : 0u;
  loss_bits[position] = bad ? kNanBits : loss;
  log_sum_exp_bits[position] = bad ? kNanBits : log_sum_exp;
  correct[position] = valid && !bad && stats.beaten == 0u ? 1.0 : 0.0;
  if (position + 1 == positions) {
    for (uint n = positions; n % 4 != 0; ++n) {
      loss_bits[n] = 0u;
      log_sum_exp_bits[n] = 0u;
      correct[n] = 0.0;
    }
  }
}
