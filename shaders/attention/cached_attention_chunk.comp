#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
//! variant cached_attention_chunk
//! variant cached_attention_chunk_split SPLIT=1
//! variant cached_attention_chunk_together TOGETHER=1
// out = softmax(q k^T scale, causal, window) v for runs of consecutive positions: attention.comp with keys from two sources. Tiles begin
// at multiples of TILE, so that where a prompt is cut changes no sum.
#include "grid.glsl"
#include "values.glsl"
#define DOTS 1
#include "attention_tile.glsl"
layout(constant_id = 5) const bool ROTATED = false;
READ_VALUES(0, Q, q_words)
READ_VALUES(1, K, k_words)
READ_VALUES(2, V, v_words)
MODIFY_VALUES(3, Cache, cache)
layout(set = 0, binding = 4) readonly buffer Places { uint places[]; };
READ_VALUES(5, Angles, angle_words)
HEAD_WRITER(6, Out, attended)
#include "cached_attention.glsl"
HEAD_PART(cached_part, cache)
shared vec4 k_tile[TILE * HEAD4];
shared vec4 v_tile[TILE * HEAD4];

// Puts vec4 d of the key and the value of position j into the tile; zeros where no row of this block sees it. `row` is the block's first,
// n its number, `end` behind its last position.
void load_key(uint to, Row row, uint n, uint kv_head, uint j, uint end, uint d) {
  vec4 k = vec4(0), v = vec4(0);
  if (d < HEAD_VECS && j >= row.begin && j < end) {
    if (j < row.run_begin) {
      uint word = cache_word_of(row, j);
      k = cached_part(word + kv_head * HEAD, d);
      v = cached_part(word + (kv_heads + kv_head) * HEAD, d);
    } else {
      if (places[4 * (n + j - row.position) + 2] != 0) {
        k = key_part(row, kv_head, d, j);
        v = value_part(row, kv_head, d, j);
      }
    }
  }
  k_tile[to] = k;
  v_tile[to] = v;
}

void write_row(uint n, uint head, uint d, vec4 x) {
  write_attended(n * out_ld + head * HEAD, d, x);
  // The padding. No loop that cannot be unrolled: it would keep the one around it, and so every array, from being resolved.
  [[unroll]] for (uint i = 0; i < 3; ++i) {
    uint column = heads * HEAD + i, word = n * out_ld + column;
    if (d == 0 && head == heads - 1 && TYPE_OF(6) == kFp32 && column < out_ld) attended_fp32[word / 4][word % 4] = 0;
  }
}

void main() {
  uint group = linear_group(), lane = lane_index(), part = lane % C;
  if (group >= groups) {
    if (group < groups + rows) store_row(first_row + group - groups, lane, LOCAL);
    return;
  }
  uint blocks = (run + ROWS - 1) / ROWS, sequences = rows / run, each = sequences * heads;
  uint first = (blocks - 1 - group / each) * ROWS;  // late rows see most keys: start them first
  uint n = first_row + group % each / heads * run + first, count = min(run - first, ROWS);
  uint head = group % heads, kv_head = head / (heads / kv_heads), i = lane / C;
  Row row = row_of(n);
  if (!row.bound) {  // and so are the rows behind it
    if (!row.live && i < count) {
      [[unroll]] for (uint e = 0; e < PART; ++e) write_row(n + i, head, part + C * e, vec4(0));
    }
    return;
  }
  bool live = i < count && places[4 * (n + min(i, count - 1)) + 2] != 0;
  uint own = live ? i : 0, position = row.position + own, end = row.position + count;

  vec4 q[PART], acc[PART];
  float maximum = kNoMaximum, sum = 0;
  [[unroll]] for (uint e = 0; e < PART; ++e) {
    q[e] = part + C * e < HEAD_VECS ? query_part(n + own, head, part + C * e, position) : vec4(0);
    acc[e] = vec4(0);
  }
  uint begin = position >= window ? position - window + 1 : 0;
  for (uint t0 = row.begin / TILE * TILE; t0 < end; t0 += TILE) {
    barrier();
    for (uint x = lane; x < TILE * HEAD4; x += LOCAL) load_key(x, row, n, kv_head, t0 + x / HEAD4, end, x % HEAD4);
    barrier();
    uint tile_begin = kTogether ? t0 : t0 + (max(begin, t0) - t0) / STEP * STEP;
    uint tile_end = min(t0 + TILE, kTogether ? end : position + 1);
    for (uint j0 = tile_begin; j0 < tile_end; j0 += STEP) {
      uint tile_word = (j0 - t0) * HEAD4 + part;
      float p[STEP];
      [[unroll]] for (uint x = 0; x < STEP; ++x) p[x] = 0;
      [[unroll]] for (uint e = 0; e < PART; ++e) {
        [[unroll]] for (uint j = 0; j < STEP; ++j) {
          vec4 k = k_tile[tile_word + j * HEAD4 + C * e];
          [[unroll]] for (uint c = 0; c < 4; ++c) p[j] += q[e][c] * k[c];
        }
      }
      [[unroll]] for (uint x = 0; x < STEP; ++x) share_part(x, p[x]);
      meet();
      [[unroll]] for (uint x = 0; x < STEP; ++x) p[x] = sum_of_parts(x, p[x]);
      if (j0 + STEP > position + 1 || j0 < begin) {
        [[unroll]] for (uint j = 0; j < STEP; ++j)
          if (j0 + j < begin || j0 + j > position) p[j] = kMasked;
      }
      float top = maximum;
      [[unroll]] for (uint j = 0; j < STEP; ++j) top = max(top, p[j]);
      if (top > maximum) {
        float shrink = exp2(maximum - top);
        sum *= shrink;
        [[unroll]] for (uint e = 0; e < PART; ++e) acc[e] *= shrink;
        maximum = top;
      }
      [[unroll]] for (uint j = 0; j < STEP; ++j) {
        p[j] = weight(p[j] - top);
        sum += p[j];
      }
      [[unroll]] for (uint e = 0; e < PART; ++e) {
        [[unroll]] for (uint j = 0; j < STEP; ++j) acc[e] += p[j] * v_tile[tile_word + j * HEAD4 + C * e];
      }
    }
  }
  if (i >= count) return;
  float inverse = live ? 1 / sum : 0;
  [[unroll]] for (uint e = 0; e < PART; ++e) write_row(n + i, head, part + C * e, live ? acc[e] * inverse : vec4(0));
}
