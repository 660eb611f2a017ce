#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// z[n, s] = sum_k x[n, k] weight[rows[g S + s], k] + shift[g, s] for the real slots s of position n's group g, else 0. A workgroup
// computes the positions of one chunk of the plan by 64 slots: rows of x are gathered by position, rows of weight by slot.
#include "grid.glsl"
layout(constant_id = 0) const uint kCut = 0;  // 1: positions or weight rows are cut into blocks, this launch sees one of them
layout(set = 0, binding = 0) readonly buffer X { vec4 x[]; };            // positions of this launch, [N, K]
layout(set = 0, binding = 1) readonly buffer Weight { vec4 weight[]; };  // rows of this launch, [R, K]
layout(set = 0, binding = 2) readonly buffer Rows { uint rows[]; };      // [groups, slots]
layout(set = 0, binding = 3) readonly buffer Shift { vec4 shift[]; };    // [groups, slots]
layout(set = 0, binding = 4) readonly buffer Plan { uint plan[]; };
layout(set = 0, binding = 5) writeonly buffer Z { vec4 z[]; };           // positions of this launch, [N, slots]
layout(push_constant) uniform Push {
  uint first_position, end_position;  // of this launch
  uint first_row, end_row;            // of weight, of this launch
  uint weight_rows;                   // in all
  uint chunks, entries;               // of the plan
  uint groups, slots;
  uint depth4;                        // vec4s of K, and of a row of x and weight
  uint slots4;                        // vec4s of a row of z and shift
  uint has_shift;
};
#include "grouped_chunk.glsl"
#define A_ALONG_K 1
#define B_ALONG_K 1
#include "grouped_tile.glsl"

uint a_at[FETCHES], b_at[FETCHES];  // where fetch i of the next step lies

void fetch_step() {
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    a_next[i] = x[a_at[i]];
    a_at[i] += BK / 4;
    b_next[i] = weight[b_at[i]];
    b_at[i] += BK / 4;
  }
}

// Along K the last vec4 may reach over the end: its padding is zero.
void fetch_rest(uint k) {
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    bool inside = k / 4 + fetch_col(i, 1) < depth4;
    a_next[i] = vec4(0);
    b_next[i] = vec4(0);
    if (inside) {
      a_next[i] = x[a_at[i] + k / 4];
      b_next[i] = weight[b_at[i] + k / 4];
    }
  }
}

// The weight row of a slot; slots that are not real give some row or other.
uint weight_row(Chunk chunk, uint slot) {
  return min(rows[chunk.group * slots + min(slot, chunk.real_slots - 1)], weight_rows - 1);
}

void find_fetches(Chunk chunk, uint slot) {
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    uint position = chunk_position(chunk, fetch_row(i, 1)), row = weight_row(chunk, slot + fetch_row(i, 1));
    position = clamp(position, first_position, end_position - 1);
    row = clamp(row, first_row, end_row - 1);
    a_at[i] = (position - first_position) * depth4 + fetch_col(i, 1);
    b_at[i] = (row - first_row) * depth4 + fetch_col(i, 1);
  }
}

void main() {
  uint tiles = (slots4 * 4 + BN - 1) / BN;
  uint index = linear_group() / tiles, slot = linear_group() % tiles * BN;
  if (index >= chunks) return;
  Chunk chunk = read_chunk(index);
  // A chunk's positions rise.
  if (chunk.count == 0 || chunk_position(chunk, 0) >= end_position || chunk_position(chunk, BM) < first_position) return;
  bool any = slot < chunk.real_slots;
  if (any) find_fetches(chunk, slot);
  multiply(any ? depth4 * 4 : 0);

  uint col4 = slot / 4 + tile_col4();
  if (col4 >= slots4) return;
  uvec4 column = 4 * col4 + uvec4(0, 1, 2, 3);
  bvec4 stored = lessThan(column, uvec4(chunk.real_slots));
  if (kCut != 0 && any) {
    [[unroll]] for (uint q = 0; q < 4; ++q) {
      uint row = weight_row(chunk, column[q]);
      stored[q] = stored[q] && row >= first_row && row < end_row;
    }
  }
  vec4 shifts = vec4(0);
  if (any && has_shift != 0) shifts = shift[chunk.group * slots4 + col4];
  [[unroll]] for (uint i = 0; i < TM; ++i) {
    uint row = tile_row(i), position = chunk_position(chunk, row);
    if (row >= chunk.count || position < first_position || position >= end_position) continue;
    uint at = (position - first_position) * slots4 + col4;
    vec4 value = sum[i] + shifts;
    if (first_row == 0) {  // the first block of weight also writes the zeros
      z[at] = mix(vec4(0), value, stored);
    } else {
      [[unroll]] for (uint q = 0; q < 4; ++q)
        if (stored[q]) z[at][q] = value[q];
    }
  }
}
