#version 450
#extension GL_GOOGLE_include_directive : require
// base[r, g] = log_p_group[r, g] - log(sum_s exp(scale[g, s] u[r, s] + shift[g, s])) over the real slots s of g
#include "grid.glsl"
#include "numbers.glsl"
#include "row_softmax.glsl"
layout(set = 0, binding = 0) readonly buffer U { vec4 u[]; };                       // rows of this call, [rows, S]
layout(set = 0, binding = 1) readonly buffer Scale { vec4 scale[]; };               // groups of this call, [groups, S]
layout(set = 0, binding = 2) readonly buffer Shift { vec4 shift[]; };
layout(set = 0, binding = 3) readonly buffer Sizes { uint sizes[]; };               // [1, G]: real slots of each group
layout(set = 0, binding = 4) readonly buffer LogPGroup { float log_p_group[]; };    // rows of this call, [rows, G]
layout(set = 0, binding = 5) writeonly buffer Base { uint base_bits[]; };           // rows of this call, [rows, G], floats
layout(push_constant) uniform Push {
  uint rows;         // of this call
  uint slots;        // S
  uint first_group;  // of this call
  uint groups;       // of this call
  uint all_groups;   // G
};

void main() {
  uint pair = row_of_call(), lane = lane_of_row();
  uint row = pair / groups, local_group = pair % groups, group = first_group + local_group;
  uint stride4 = (slots + 3) / 4, table = local_group * stride4;
  RowStats stats = empty_stats();
  uint real_slots = 0;
  if (row < rows) {
    real_slots = min(sizes[group], slots);
    uint full4 = real_slots / 4;
    for (uint k = lane; k < full4; k += kLanes) {
      add_entries(stats, scale[table + k] * u[row * stride4 + k] + shift[table + k]);
    }
    if (real_slots % 4 != 0 && lane == full4 % kLanes) {
      vec4 z = scale[table + full4] * u[row * stride4 + full4] + shift[table + full4];
      add_entries(stats, z, columns_below(4 * full4, real_slots));
    }
  }
  stats = join_lanes(stats);
  if (row >= rows || lane != 0) return;
  uint group_stride = (all_groups + 3) / 4 * 4;
  bool bad = real_slots == 0 || stats.magnitude >= kInfinityBits;
  float base = log_p_group[row * group_stride + group] - stats.maximum - log(stats.sum);
  base_bits[row * group_stride + group] = bad ? kNanBits : floatBitsToUint(base);
}
