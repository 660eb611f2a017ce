#version 450
#extension GL_GOOGLE_include_directive : require
// loss[n] = log(sum_s exp(z[n, s])) - z[n, label] over the slots of position n's group, for the positions of a round of the plan
// (base/group_plan.hpp); a row that holds a NaN or an infinity has a NaN loss. With a gradient, d_z[n, s] = (exp(z[n, s] -
// log_sum_exp[n]) - (s == label)) scale[0] in the place of z. Positions in no group: 0.
#include "grid.glsl"
#include "numbers.glsl"
#include "row_softmax.glsl"
layout(set = 0, binding = 0) buffer Z { vec4 z[]; };                      // of the round, ragged
layout(set = 0, binding = 1) readonly buffer Plan { uint plan[]; };
layout(set = 0, binding = 2) readonly buffer Scale { float scale[]; };    // when gradient
layout(set = 0, binding = 3) writeonly buffer Loss { uint loss_bits[]; };  // [1, positions], floats
layout(set = 0, binding = 4) writeonly buffer Correct { float correct[]; };
layout(push_constant) uniform Push {
  uint positions;
  uint groups;
  uint slots;                // of the largest group
  uint entries;              // where the pairs (position, slot) begin in plan
  uint places, round_chunks;  // where it says how a round lies
  uint round;
  uint gradient;
};

void main() {
  // A workgroup takes some entries of one chunk.
  uint rows_at_once = gl_WorkGroupSize.x / kLanes, blocks = 64 / rows_at_once;
  uint chunk = plan[round_chunks + round] + linear_group() / blocks;
  if (chunk >= plan[round_chunks + round + 1]) return;
  uint begin = plan[4 * chunk + 1], entries_of_chunk = plan[4 * chunk + 2];
  uint count = plan[4 * chunk] < groups ? min(plan[4 * chunk + 3], slots) : 0;
  uint first = linear_group() % blocks * rows_at_once;
  if (first >= entries_of_chunk) return;

  uint i = first + gl_LocalInvocationID.x / kLanes, lane = lane_of_row();
  bool is_row = i < entries_of_chunk;
  uint entry = entries + 2 * (begin + min(i, entries_of_chunk - 1)), position = plan[entry], label = plan[entry + 1];
  uint row4 = (count + 3) / 4, base = plan[places + chunk] + i * row4, full4 = count / 4;
  bool valid = is_row && label < count;
  RowStats stats = empty_stats();
  float label_z = 0.0;
  if (valid) {
    label_z = z[base + label / 4][label % 4];
    for (uint k = lane; k < full4; k += kLanes) {
      vec4 x = z[base + k];
      add_entries(stats, x);
      note_beaten(stats, x, bvec4(true), 4 * k, label_z, label);
    }
    if (count % 4 != 0 && lane == full4 % kLanes) {
      vec4 x = z[base + full4];
      bvec4 real = columns_below(4 * full4, count);
      add_entries(stats, x, real);
      note_beaten(stats, x, real, 4 * full4, label_z, label);
    }
  }
  stats = join_lanes(stats);
  if (!is_row) return;

  float log_sum = valid ? log(stats.sum) : 0.0;
  bool bad = count != 0 && (!valid || stats.magnitude >= kInfinityBits);
  if (lane == 0) {
    uint loss = valid ? floatBitsToUint((stats.maximum - label_z) + log_sum) : 0u;
    loss_bits[position] = bad ? kNanBits : loss;
    correct[position] = valid && !bad && stats.beaten == 0u ? 1.0 : 0.0;
    if (position + 1 == positions) {
      for (uint n = positions; n % 4 != 0; ++n) {
        loss_bits[n] = 0u;
        correct[n] = 0.0;
      }
    }
  }
  if (gradient == 0) return;
  // A row that is not finite stays so: exp() of a NaN is not one on every driver.
  float d = scale[0], marked = uintBitsToFloat(bad ? kNanBits : 0u), shift = stats.maximum + log_sum;
  for (uint k = lane; k < row4; k += kLanes) {
    uvec4 column = uvec4(4 * k) + uvec4(0, 1, 2, 3);
    vec4 p = exp_below(z[base + k] - shift) + marked;
    p -= mix(vec4(0.0), vec4(1.0), equal(column, uvec4(label)));
    z[base + k] = mix(vec4(0.0), p * d, lessThan(column, uvec4(count)));
  }
}
