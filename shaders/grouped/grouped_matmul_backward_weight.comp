#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// d_weight[rows[g S + s], k] = sum over the positions n of group g of d_z[n, s] x[n, k], d_shift[g, s] = sum of d_z[n, s]. A workgroup
// computes 64 slots by 64 columns of one group; the workgroups of the first columns also sum d_shift.
// So that a group with most of the positions is not one workgroup's work, entries [w L, (w + 1) L) of the plan are a window: where
// all of it is in one group, a workgroup of its own sums it into scratch, and the group's adds up its windows and the rest.
//! variant grouped_matmul_backward_weight WINDOWS=0
//! variant grouped_matmul_backward_weight_windows WINDOWS=1
#include "grid.glsl"
#include "columns.glsl"
layout(set = 0, binding = 0) readonly buffer DZ { vec4 d_z[]; };  // positions of this launch, [N, slots]; or a round's
layout(set = 0, binding = 1) readonly buffer X { vec4 x[]; };     // positions of this launch, [N, columns]
layout(set = 0, binding = 2) readonly buffer Plan { uint plan[]; };
#if WINDOWS
layout(set = 0, binding = 3) writeonly buffer Sums { vec4 sums[]; };             // [windows, slots, columns]
layout(set = 0, binding = 4) writeonly buffer ShiftSums { vec4 shift_sums[]; };  // [windows, slots]
#else
layout(set = 0, binding = 3) readonly buffer Sums { vec4 sums[]; };
layout(set = 0, binding = 4) readonly buffer ShiftSums { vec4 shift_sums[]; };
layout(set = 0, binding = 5) readonly buffer Rows { uint rows[]; };  // [groups, slots]
layout(set = 0, binding = 6) buffer DWeight { vec4 d_weight[]; };    // rows of this launch, [R, columns]
layout(set = 0, binding = 7) buffer DShift { vec4 d_shift[]; };      // [groups, slots]
#endif
#include "grouped_list.glsl"
#define A_ALONG_K 0
#define B_ALONG_K 0
#define SUM_A
#include "grouped_tile.glsl"

// The list that is summed: `length` entries from `begin` on, those in [hole, hole + hole_length) left out.
uint begin, hole, hole_length, length;
uint a_col4, b_col4;
uint d_z_row4;               // vec4s of a row of d_z
uint group_begin, group_at;  // ragged: the group's first entry of the round, and where its row of d_z lies

// Where fetch i of the next step lies (looked up a step ahead), if it is one of this launch's positions.
uint step_entry[FETCHES], d_z_at[FETCHES], position_at[FETCHES];
bool position_inside[FETCHES];

void find_position(uint i) {
  uint entry = begin + min(step_entry[i], length - 1);
  if (entry >= hole) entry += hole_length;
  uint position = plan[entries + 2 * entry];
  position_inside[i] = position >= first_position && position < end_position;
  position_at[i] = clamp(position, first_position, end_position - 1) - first_position;
  d_z_at[i] = kRagged != 0 ? group_at + (entry - group_begin) * d_z_row4 : position_at[i] * d_z_row4;
}

void start_positions(uint k) {
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    step_entry[i] = k + fetch_row(i, 0);
    find_position(i);
  }
}

void fetch(uint i) {
  a_next[i] = d_z[d_z_at[i] + a_col4];
  b_next[i] = x[position_at[i] * columns4 + b_col4];
}

void fetch_step() {
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    fetch(i);
    if (kCut != 0 && !position_inside[i]) a_next[i] = b_next[i] = vec4(0);
    step_entry[i] += BK;
    find_position(i);
  }
}

void fetch_rest(uint k) {
  start_positions(k);
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    a_next[i] = b_next[i] = vec4(0);
    if (step_entry[i] < length && position_inside[i]) fetch(i);
  }
  start_positions(0);
}

// The group that entry is of; `groups`: none.
uint group_of(uint entry) {
  uint low = 0, high = groups;
  while (low < high) {
    uint middle = (low + high) / 2;
    if (entries_before(middle + 1) > entry) high = middle;
    else low = middle + 1;
  }
  return low;
}

// Product and a_sum over the list of a group, of the tile at (slot, column).
void sum_list(uint group, uint slot, uint column) {
  d_z_row4 = slots4;
  if (kRagged != 0 && length != 0) {
    d_z_row4 = (real_slots_of(group) + 3) / 4;
    group_begin = entries_before(group);
    group_at = first_row_of(group);
  }
  a_col4 = min(slot / 4 + fetch_col(0, 0), d_z_row4 - 1);
  b_col4 = min(column / 4 + fetch_col(0, 0), columns4 - 1);
  if (length != 0) start_positions(0);
  multiply(length);
}

// The sums of a's columns, one vec4 each in invocations 0 .. BM / 4 - 1.
vec4 sum_columns() {
  barrier();
  a_tile[gl_LocalInvocationID.x] = a_sum;
  barrier();
  vec4 total = vec4(0);
  if (gl_LocalInvocationID.x < BM / 4)
    for (uint i = 0; i < THREADS / (BM / 4); ++i) total += a_tile[gl_LocalInvocationID.x + i * (BM / 4)];
  return total;
}

#if WINDOWS

void main() {
  uint down = (slots4 * 4 + BM - 1) / BM, across = (columns4 * 4 + BN - 1) / BN;
  uint index = linear_group() / (down * across), tile = linear_group() % (down * across);
  uint slot = tile / across * BM, column = tile % across * BN;
  if (index >= windows) return;
  begin = index * window;
  uint group = group_of(begin);
  if (group >= groups || entries_before(group) > begin || entries_before(group + 1) < begin + window) return;
  if (slot >= real_slots_of(group)) return;
  length = window;
  hole = 0xFFFFFFFF;
  hole_length = 0;
  sum_list(group, slot, column);

  uint col4 = column / 4 + tile_col4();
  [[unroll]] for (uint i = 0; i < TM; ++i) {
    uint row = slot + tile_row(i);
    if (row < slots && col4 < columns4) sums[(index * slots + row) * columns4 + col4] = sum[i];
  }
  if (column != 0) return;
  vec4 total = sum_columns();
  uint slot4 = slot / 4 + gl_LocalInvocationID.x;
  if (gl_LocalInvocationID.x < BM / 4 && slot4 < slots4) shift_sums[index * slots4 + slot4] = total;
}

#else

void main() {
  uint down = (slots4 * 4 + BM - 1) / BM, across = (columns4 * 4 + BN - 1) / BN;
  uint group = linear_group() / (down * across), tile = linear_group() % (down * across);
  uint slot = tile / across * BM, column = tile % across * BN;
  if (group >= groups) return;
  begin = entries_before(group);
  length = entries_before(group + 1) - begin;
  uint real_slots = length == 0 ? 0 : real_slots_of(group);
  if (slot >= real_slots) length = 0;
  if (length == 0 && column != 0) return;

  uint first_window = min((begin + window - 1) / window, windows);
  uint end_window = max(first_window, min((begin + length) / window, windows));
  hole = first_window * window;
  hole_length = (end_window - first_window) * window;
  length -= hole_length;
  sum_list(group, slot, column);

  uint col4 = column / 4 + tile_col4();
  if (col4 < columns4) {
    [[unroll]] for (uint i = 0; i < TM; ++i) {
      uint row = slot + tile_row(i);
      if (row >= real_slots) continue;
      vec4 value = sum[i];
      for (uint w = first_window; w < end_window; ++w) value += sums[(w * slots + row) * columns4 + col4];
      uint out_row = rows[group * slots + row];
      if (out_row < first_row || out_row >= end_row) continue;
      uint at = (out_row - first_row) * columns4 + col4;
      if (add != 0) value += d_weight[at];
      d_weight[at] = within_columns(value, col4, columns);
    }
  }
  if (column != 0 || first_row != 0) return;
  vec4 total = sum_columns();
  uint slot4 = slot / 4 + gl_LocalInvocationID.x;
  if (gl_LocalInvocationID.x >= BM / 4 || slot4 >= slots4) return;
  for (uint w = first_window; w < end_window; ++w) total += shift_sums[w * slots4 + slot4];
  uint at = group * slots4 + slot4;
  total = within_columns(total, slot4, real_slots);
  if (add != 0) total += d_shift[at];
  d_shift[at] = total;
}

#endif
