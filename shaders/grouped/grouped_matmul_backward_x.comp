#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// d_x[n, k] = sum over the real slots s of position n's group g of d_z[n, s] weight[rows[g S + s], k]; 0 for positions in no group. A
// workgroup computes the positions of one chunk of the plan by 64 columns.
#include "grid.glsl"
layout(set = 0, binding = 0) readonly buffer DZ { vec4 d_z[]; };         // positions of this launch, [N, slots]; or a round's
layout(set = 0, binding = 1) readonly buffer Weight { vec4 weight[]; };  // rows of this launch, [R, columns]
layout(set = 0, binding = 2) readonly buffer Rows { uint rows[]; };      // [groups, slots]
layout(set = 0, binding = 3) readonly buffer Plan { uint plan[]; };
#include "grouped_chunk.glsl"
#include "grouped_store_x.glsl"
#define A_ALONG_K 1
#define B_ALONG_K 0
#include "grouped_tile.glsl"

Chunk chunk;
uint a_at[FETCHES];                      // where fetch i of the next step lies
uint b_slot[FETCHES], b_at[FETCHES];     // the slot of fetch i of the next step, and where its weight lies ...
bool b_inside[FETCHES];                  // ... if in this launch's rows
uint b_col4;

// Looked up a step ahead of the load that needs it.
void find_weight(uint i) {
  uint row = weight_row(chunk, b_slot[i]);
  b_inside[i] = row_inside(row);
  b_at[i] = row_row(row) * columns4 + b_col4;
}

void start_weight(uint k) {
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    b_slot[i] = k + fetch_row(i, 0);
    find_weight(i);
  }
}

void fetch_step() {
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    a_next[i] = d_z[a_at[i]];
    a_at[i] += BK / 4;
    b_next[i] = weight[b_at[i]];
    if (kCut != 0 && !b_inside[i]) b_next[i] = vec4(0);
    b_slot[i] += BK;
    find_weight(i);
  }
}

void fetch_rest(uint k) {
  start_weight(k);
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    uint slot = k + 4 * fetch_col(i, 1);
    a_next[i] = vec4(0);
    if (slot < chunk.real_slots) a_next[i] = d_z[a_at[i] + k / 4];
    a_next[i] = mix(vec4(0), a_next[i], lessThan(slot + uvec4(0, 1, 2, 3), uvec4(chunk.real_slots)));
    b_next[i] = vec4(0);
    if (b_slot[i] < chunk.real_slots && b_inside[i]) b_next[i] = weight[b_at[i]];
  }
  start_weight(0);
}

void main() {
  uint tiles = (columns4 * 4 + BN - 1) / BN;
  uint index = linear_group() / tiles, column = linear_group() % tiles * BN;
  if (index >= chunks) return;
  chunk = read_chunk(index);
  if (skip_chunk(chunk)) return;
  if (chunk.real_slots != 0) {
    b_col4 = min(column / 4 + fetch_col(0, 0), columns4 - 1);  // the same for every i
    [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
      a_at[i] = z_row(chunk, fetch_row(i, 1)) + fetch_col(i, 1);
    }
    start_weight(0);
  }
  multiply(chunk.real_slots);

  uint col4 = column / 4 + tile_col4();
  if (col4 >= columns4) return;
  [[unroll]] for (uint i = 0; i < TM; ++i) store_d_x(chunk, tile_row(i), col4, sum[i]);
}
