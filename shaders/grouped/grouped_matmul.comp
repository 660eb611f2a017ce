#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// z[n, s] = sum_k x[n, k] weight[rows[g S + s], k] + shift[g, s] for the real slots s of position n's group g, else 0. A workgroup
// computes the positions of one chunk of the plan by 64 slots: rows of x are gathered by position, rows of weight by slot.
#include "grid.glsl"
layout(set = 0, binding = 0) readonly buffer X { vec4 x[]; };            // positions of this launch, [N, K]
layout(set = 0, binding = 1) readonly buffer Weight { vec4 weight[]; };  // rows of this launch, [R, K]
layout(set = 0, binding = 2) readonly buffer Rows { uint rows[]; };      // [groups, slots]
layout(set = 0, binding = 4) readonly buffer Plan { uint plan[]; };
#include "grouped_chunk.glsl"
#include "grouped_store.glsl"
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
    bool inside = k / 4 + fetch_col(i, 1) < columns4;
    a_next[i] = vec4(0);
    b_next[i] = vec4(0);
    if (inside) {
      a_next[i] = x[a_at[i] + k / 4];
      b_next[i] = weight[b_at[i] + k / 4];
    }
  }
}

void find_fetches(Chunk chunk, uint slot) {
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    uint position = chunk_position(chunk, fetch_row(i, 1)), row = weight_row(chunk, slot + fetch_row(i, 1));
    a_at[i] = position_row(position) * columns4 + fetch_col(i, 1);
    b_at[i] = row_row(row) * columns4 + fetch_col(i, 1);
  }
}

void main() {
  uint tiles = (slots4 * 4 + BN - 1) / BN;
  uint index = linear_group() / tiles, slot = linear_group() % tiles * BN;
  if (index >= chunks) return;
  Chunk chunk = read_chunk(index);
  if (skip_chunk(chunk)) return;
  bool any = slot < chunk.real_slots;
  if (any) find_fetches(chunk, slot);
  multiply(any ? columns4 * 4 : 0);

  uint col4 = slot / 4 + tile_col4();
  if (col4 >= chunk.z_row4) return;
  Columns to = find_columns(chunk, col4, any);
  [[unroll]] for (uint i = 0; i < TM; ++i) store_z(chunk, to, tile_row(i), sum[i]);
}
