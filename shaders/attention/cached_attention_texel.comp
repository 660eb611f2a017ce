#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// out = softmax(q k^T scale, causal, window) v for rows of many texts, one a workgroup, with QUERIES heads that share keys. A lane goes
// through every LANES-th key with sums of its own, which are added at the end.
#include "cached_attention_texel.glsl"
layout(constant_id = 3) const uint QUERIES = 1;

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
    for (uint x = lane; x < queries * HEAD_VECS; x += LANES) write_row(n, first_head + x / HEAD_VECS, x % HEAD_VECS, vec4(0));
  }
  if (!row.bound) return;

  vec4 q[QUERIES * HEAD_VECS], acc[QUERIES * HEAD_VECS];
  float top[QUERIES], sum[QUERIES];
  [[unroll]] for (uint x = 0; x < QUERIES; ++x) {
    [[unroll]] for (uint d = 0; d < HEAD_VECS; ++d) {
      q[x * HEAD_VECS + d] = query_part(n, first_head + min(x, queries - 1), d, row.position);
      acc[x * HEAD_VECS + d] = vec4(0);
    }
    top[x] = kNoMaximum;
    sum[x] = 0;
  }
  for (uint j0 = row.begin / LANES * LANES; j0 <= row.position; j0 += LANES) {
    uint j = j0 + lane;
    bool seen = j >= row.begin && j <= row.position;
    vec4 k[HEAD_VECS], v[HEAD_VECS];
    load_key(row, n, kv_head, j0, j, row.begin, row.position, k, v);
    [[unroll]] for (uint x = 0; x < QUERIES; ++x) {
      float s = 0;
      [[unroll]] for (uint d = 0; d < HEAD_VECS; ++d)
        [[unroll]] for (uint c = 0; c < 4; ++c) s = fma(q[x * HEAD_VECS + d][c], k[d][c], s);
      s = seen ? s : kMasked;
      float high = max(top[x], s), shrink = weight(top[x] - high), p = weight(s - high);
      top[x] = high;
      sum[x] = fma(sum[x], shrink, p);
      [[unroll]] for (uint d = 0; d < HEAD_VECS; ++d)
        acc[x * HEAD_VECS + d] = fma(acc[x * HEAD_VECS + d], vec4(shrink), p * v[d]);
    }
  }
  [[unroll]] for (uint x = 0; x < QUERIES; ++x) {
    float high = kNoMaximum, total = 0;
    [[unroll]] for (uint l = 0; l < LANES; ++l) high = max(high, subgroupShuffle(top[x], l));
    float share = weight(top[x] - high), own = sum[x] * share;
    [[unroll]] for (uint l = 0; l < LANES; ++l) total += subgroupShuffle(own, l);
    [[unroll]] for (uint d = 0; d < HEAD_VECS; ++d) {
      vec4 part = acc[x * HEAD_VECS + d] * share, all = vec4(0);
      [[unroll]] for (uint l = 0; l < LANES; ++l)
        [[unroll]] for (uint c = 0; c < 4; ++c) all[c] += subgroupShuffle(part[c], l);
      if (lane == 0 && x < queries) write_row(n, first_head + x, d, all / total);
    }
  }
}
