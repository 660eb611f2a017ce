#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// grouped_matmul_backward_weight for drivers that run on the CPU: 32 slots by 4 * subgroup_size columns of one group a workgroup, over
// all its positions; no windows.
#include "grid.glsl"
#include "columns.glsl"
layout(set = 0, binding = 0) uniform samplerBuffer d_z;  // positions of this launch, [N, slots]; or a round's
layout(set = 0, binding = 1) uniform samplerBuffer x;    // positions of this launch, [N, columns]
layout(set = 0, binding = 2) readonly buffer Plan { uint plan[]; };
layout(set = 0, binding = 3) readonly buffer Rows { uint rows[]; };  // [groups, slots]
layout(set = 0, binding = 4) buffer DWeight { vec4 d_weight[]; };    // rows of this launch, [R, columns]
layout(set = 0, binding = 5) buffer DShift { vec4 d_shift[]; };      // [groups, slots]
#include "grouped_list.glsl"
#define A_ALONG_K 0
#include "grouped_shuffle.glsl"

void main() {
  uint down = (slots4 * 4 + BM - 1) / BM, across = (columns4 * 4 + BN - 1) / BN;
  uint group = linear_group() / (down * across), tile = linear_group() % (down * across);
  uint slot = tile / across * BM, column4 = tile % across * kLanes, col4 = column4 + gl_SubgroupInvocationID;
  if (group >= groups) return;
  uint begin = entries_before(group), length = entries_before(group + 1) - begin;
  uint real_slots = length == 0 ? 0 : real_slots_of(group);
  if (slot >= real_slots) length = 0;
  if (length == 0 && column4 != 0) return;
  uint d_z_row4 = kRagged != 0 ? (max(real_slots, 1) + 3) / 4 : slots4;
  uint group_at = kRagged != 0 && length != 0 ? first_row_of(group) : 0;

  uint b_col4 = min(col4, columns4 - 1);
  clear_sum();
  vec4 a_sum[A_FETCHES];
  [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) a_sum[i] = vec4(0);
  for (uint k = 0; k < length; k += BK) {
    // A lane looks up the position of one step, as a row of this launch; 0xFFFFFFFF: none.
    uint step = k + gl_SubgroupInvocationID, position = plan[entries + 2 * (begin + min(step, length - 1))];
    bool counts = step < length && position >= first_position && position < end_position;
    uint row = counts ? position - first_position : 0xFFFFFFFF;
    // Ragged rows of d_z lie by entry.
    uint d_z_row = kRagged != 0 && counts ? step : row;
    // Steps beyond the end and positions of other launches: a is taken as zero there, b's row is the first.
    [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) {
      // A word's step is the same for all of 8 lanes, and then a constant.
      uint at = subgroupShuffle(d_z_row, kLanes == BM / 4 ? i : fetch_word(i) / (BM / 4));
      bool inside = at != 0xFFFFFFFF;
      uint a_col4 = min(slot / 4 + fetch_word(i) % (BM / 4), d_z_row4 - 1);
      vec4 word = texelFetch(d_z, int(group_at + (inside ? at : 0) * d_z_row4 + a_col4));
      av[i] = inside ? word : vec4(0);
      a_sum[i] += av[i];
    }
    [[unroll]] for (uint kk = 0; kk < BK; ++kk) {
      uint at = subgroupShuffle(row, kk);
      bv[kk] = texelFetch(x, int((at != 0xFFFFFFFF ? at : 0) * columns4 + b_col4));
    }
    multiply_round();
  }

  // d_shift: word w of a round holds slots 4 (w % (BM / 4)) .. .
  vec4 shifts[BM / 4];
  [[unroll]] for (uint c = 0; c < BM / 4; ++c) {
    shifts[c] = vec4(0);
    [[unroll]] for (uint kk = 0; kk < BK; ++kk) {
      uint word = kk * (BM / 4) + c;
      shifts[c] += subgroupShuffle(a_sum[word / kLanes], word % kLanes);
    }
  }
  if (col4 < columns4) {
    [[unroll]] for (uint i = 0; i < BM; ++i) {
      uint out_row = rows[group * slots + min(slot + i, slots - 1)];
      if (slot + i >= real_slots || out_row < first_row || out_row >= end_row) continue;
      uint at = (out_row - first_row) * columns4 + col4;
      vec4 value = sum[i];
      if (add != 0) value += d_weight[at];
      d_weight[at] = within_columns(value, col4, columns);
    }
  }
  if (col4 != 0 || first_row != 0) return;
  [[unroll]] for (uint c = 0; c < BM / 4; ++c) {
    uint slot4 = slot / 4 + c, at = group * slots4 + slot4;
    if (slot4 >= slots4) continue;
    vec4 value = within_columns(shifts[c], slot4, real_slots);
    if (add != 0) value += d_shift[at];
    d_shift[at] = value;
  }
}
