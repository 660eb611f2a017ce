#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// out = softmax(q k^T scale, causal, window) v for rows of many texts, one a workgroup, with QUERIES heads that share keys. PARTS lanes
// share a key, since a fetch of neighbouring texels touches the least memory; in PARTS rounds they go through a tile of LANES keys.
#include "cached_attention_texel.glsl"
layout(constant_id = 4) const uint QUERIES = 1;
layout(constant_id = 5) const uint PARTS = 1;             // a power of two
const uint KEYS = LANES / PARTS;                          // at once
const uint EACH = (HEAD_VECS / UNIT + PARTS - 1) / PARTS; // units of a head that a lane has, every PARTS-th
const uint VECS = EACH * UNIT;

struct State {
  vec4 q[QUERIES * VECS], acc[QUERIES * VECS];
  float top[QUERIES], sum[QUERIES];  // the largest score, the same in all lanes; of this lane's weights
};
// Over the lanes whose numbers differ in bits that are worth `from` or more, and less than `to`. No loop: not every compiler unrolls one
// that doubles.
float sum_of_lanes(float x, const uint from, const uint to) {
  if (from <= 1 && 1 < to) x += subgroupShuffleXor(x, 1);
  if (from <= 2 && 2 < to) x += subgroupShuffleXor(x, 2);
  if (from <= 4 && 4 < to) x += subgroupShuffleXor(x, 4);
  return x;
}
uint part_of_head(uint e) { return gl_SubgroupInvocationID % PARTS + PARTS * e; }

// This lane's part of a key (which 0) or a value (1); OWN: some key of the tile is of this call.
void load_part(const bool own, Row row, uint kv_head, uint which, uint j0, uint j, out vec4 x[VECS]) {
  uint cached_j = own ? clamp(j, row.begin, max(row.run_begin, row.begin + 1) - 1) : max(j, row.begin);
  uint word = cache_word_of(row, cached_j) + (which * kv_heads + kv_head) * HEAD;
  bool is_own = own && (j >= row.run_begin || row.begin >= row.run_begin);
  uint own_j = clamp(j, max(row.begin, row.run_begin), row.position);
  [[unroll]] for (uint e = 0; e < EACH; ++e) {
    uint unit = min(part_of_head(e), HEAD_VECS / UNIT - 1);
    bool there = part_of_head(e) == unit;
    vec4 part[UNIT];
    cache_unit(word, unit, part);
    [[unroll]] for (uint u = 0; u < UNIT; ++u) {
      uint d = unit * UNIT + u;
      vec4 y = part[u];
      if (own) {
        vec4 fresh = which == 0 ? key_part(row, kv_head, d, own_j) : value_part(row, kv_head, d, own_j);
        y = is_own ? fresh : y;
      }
      x[e * UNIT + u] = there ? y : vec4(0);
    }
  }
}

void add_tile(const bool own, inout State state, Row row, uint kv_head, uint j0) {
  uint lane = gl_SubgroupInvocationID, group = lane / PARTS;
  float s[QUERIES], shrink[QUERIES];
  [[unroll]] for (uint t = 0; t < PARTS; ++t) {
    vec4 k[VECS];
    load_part(own, row, kv_head, 0, j0, j0 + t * KEYS + group, k);
    [[unroll]] for (uint x = 0; x < QUERIES; ++x) {
      float dot_part = 0;
      [[unroll]] for (uint e = 0; e < VECS; ++e)
        [[unroll]] for (uint c = 0; c < 4; ++c) dot_part = fma(state.q[x * VECS + e][c], k[e][c], dot_part);
      dot_part = sum_of_lanes(dot_part, 1, PARTS);
      if (KEYS > 1) dot_part = subgroupShuffle(dot_part, lane % KEYS * PARTS);
      s[x] = t == 0 || lane / KEYS == t ? dot_part : s[x];  // lane l has the score of key l
    }
  }
  uint j = j0 + lane;
  bool seen = j >= row.begin && j <= row.position;
  [[unroll]] for (uint x = 0; x < QUERIES; ++x) {
    s[x] = seen ? s[x] : kMasked;
    float high = max(state.top[x], s[x]);
    if (LANES > 1) high = max(high, subgroupShuffleXor(high, 1));
    if (LANES > 2) high = max(high, subgroupShuffleXor(high, 2));
    if (LANES > 4) high = max(high, subgroupShuffleXor(high, 4));
    shrink[x] = weight(state.top[x] - high);
    s[x] = weight(s[x] - high);
    state.top[x] = high;
    state.sum[x] = fma(state.sum[x], shrink[x], s[x]);
    [[unroll]] for (uint e = 0; e < VECS; ++e) state.acc[x * VECS + e] *= shrink[x];
  }
  [[unroll]] for (uint t = 0; t < PARTS; ++t) {
    vec4 v[VECS];
    load_part(own, row, kv_head, 1, j0, j0 + t * KEYS + group, v);
    [[unroll]] for (uint x = 0; x < QUERIES; ++x) {
      float p = KEYS == 1 ? subgroupShuffle(s[x], t) : subgroupShuffle(s[x], t * KEYS + group);
      [[unroll]] for (uint e = 0; e < VECS; ++e)
        state.acc[x * VECS + e] = fma(vec4(p), v[e], state.acc[x * VECS + e]);
    }
  }
}

void main() {
  uint group = linear_group(), lane = gl_SubgroupInvocationID;
  if (group >= groups) {
    if (group < groups + rows) store_row(first_row + group - groups, lane, LANES);
    return;
  }
  uint shared_by = heads / kv_heads, query_parts = (shared_by + QUERIES - 1) / QUERIES;
  uint first_query = group % query_parts * QUERIES, kv_head = group / query_parts % kv_heads;
  uint n = first_row + group / query_parts / kv_heads, first_head = kv_head * shared_by + first_query;
  uint queries = min(QUERIES, shared_by - first_query);
  Row row = row_of(n);
  if (!row.live) {
    for (uint x = lane; x < queries * HEAD_VECS; x += LANES)
      write_row(n, first_head + x / HEAD_VECS, x % HEAD_VECS, vec4(0));
  }
  if (!row.bound) return;

  State state;
  [[unroll]] for (uint x = 0; x < QUERIES; ++x) {
    [[unroll]] for (uint e = 0; e < VECS; ++e) {
      uint d = min(part_of_head(e / UNIT) * UNIT + e % UNIT, HEAD_VECS - 1);
      state.q[x * VECS + e] = query_part(n, first_head + min(x, queries - 1), d, row.position);
      state.acc[x * VECS + e] = vec4(0);
    }
    state.top[x] = kNoMaximum;
    state.sum[x] = 0;
  }
  uint j0 = row.begin / LANES * LANES;
  for (; j0 + LANES <= row.run_begin; j0 += LANES) add_tile(false, state, row, kv_head, j0);
  for (; j0 <= row.position; j0 += LANES) add_tile(true, state, row, kv_head, j0);

  [[unroll]] for (uint x = 0; x < QUERIES; ++x) {
    float total = sum_of_lanes(state.sum[x], 1, LANES);
    [[unroll]] for (uint e = 0; e < VECS; ++e) {
      vec4 y = state.acc[x * VECS + e];
      [[unroll]] for (uint c = 0; c < 4; ++c) y[c] = sum_of_lanes(y[c], PARTS, LANES);
      uint d = part_of_head(e / UNIT) * UNIT + e % UNIT;
      if (lane < PARTS && d < HEAD_VECS && x < queries) write_row(n, first_head + x, d, y / total);
    }
  }
}
