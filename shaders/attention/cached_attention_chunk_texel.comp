#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// out = softmax(q k^T scale, causal, window) v for runs of consecutive positions: attention_texel.comp with keys from two sources. Each
// lane keeps R rows of one head in registers; keys come LANES at a time, one a lane, and are spread by shuffles.
#include "cached_attention_texel.glsl"
layout(constant_id = 4) const uint R = 4;

// This lane's key j and its value, of those [j0, j0 + LANES) that some row from `row` on sees; one before row.begin or behind `last` is
// read as the next of these.
void load_key(Row row, uint kv_head, uint j0, uint j, uint last, out vec4 k[HEAD_VECS], out vec4 v[HEAD_VECS]) {
  bool some_own = j0 + LANES > row.run_begin, some_cached = j0 < row.run_begin && row.begin < row.run_begin;
  if (some_own) {
    uint own = clamp(j, max(row.begin, row.run_begin), last);
    [[unroll]] for (uint d = 0; d < HEAD_VECS; ++d) {
      k[d] = key_part(row, kv_head, d, own);
      v[d] = value_part(row, kv_head, d, own);
    }
  }
  if (some_cached) {
    uint word = cache_word_of(row, clamp(j, row.begin, row.run_begin - 1));
    bool is_own = j >= row.run_begin;
    [[unroll]] for (uint unit = 0; unit < HEAD_VECS / UNIT; ++unit) {
      vec4 cached_k[UNIT], cached_v[UNIT];
      cache_unit(word + kv_head * HEAD, unit, cached_k);
      cache_unit(word + (kv_heads + kv_head) * HEAD, unit, cached_v);
      [[unroll]] for (uint u = 0; u < UNIT; ++u) {
        k[unit * UNIT + u] = is_own ? k[unit * UNIT + u] : cached_k[u];
        v[unit * UNIT + u] = is_own ? v[unit * UNIT + u] : cached_v[u];
      }
    }
  }
}

void main() {
  uint group = linear_group(), lane = gl_SubgroupInvocationID;
  if (group >= groups) {
    if (group < groups + rows) store_row(first_row + group - groups, lane, LANES);
    return;
  }
  uint blocks = (run + LANES * R - 1) / (LANES * R), sequences = rows / run;
  uint block = blocks - 1 - group / heads / sequences;  // late rows see most keys: start them first
  uint sequence = group / heads % sequences, head = group % heads, kv_head = head / (heads / kv_heads);
  uint first = block * LANES * R, n = first_row + sequence * run + first, count = min(run - first, LANES * R);
  Row row = row_of(n);
  if (!row.bound) {  // and so are those behind it
    for (uint x = lane; x < count * HEAD_VECS; x += LANES)
      if (!row.live) write_row(n + x / HEAD_VECS, head, x % HEAD_VECS, vec4(0));
    return;
  }
  vec4 q[R * HEAD_VECS], acc[R * HEAD_VECS];
  float top[R], sum[R];
  bool live[R];
  uint last = row.position;  // of the block's positions
  [[unroll]] for (uint r = 0; r < R; ++r) {
    uint i = min(lane + LANES * r, count - 1);
    live[r] = places[4 * (n + i) + 2] != 0;
    i = live[r] ? i : 0;
    last = max(last, row.position + i);
    [[unroll]] for (uint d = 0; d < HEAD_VECS; ++d) {
      q[r * HEAD_VECS + d] = query_part(n + i, head, d, row.position + i);
      acc[r * HEAD_VECS + d] = vec4(0);
    }
    top[r] = kNoMaximum;
    sum[r] = 0;
  }
  uint last_of_lane = last;
  [[unroll]] for (uint l = 0; l < LANES; ++l) last = max(last, subgroupShuffle(last_of_lane, l));

  for (uint j0 = row.begin / LANES * LANES; j0 <= last; j0 += LANES) {
    vec4 k[HEAD_VECS], v[HEAD_VECS];
    load_key(row, kv_head, j0, j0 + lane, last, k, v);
    float p[R * LANES], high[R], shrink[R];
    [[unroll]] for (uint r = 0; r < R; ++r) high[r] = top[r];
    [[unroll]] for (uint j = 0; j < LANES; ++j) {
      float s[R];
      [[unroll]] for (uint r = 0; r < R; ++r) s[r] = 0;
      [[unroll]] for (uint d = 0; d < HEAD_VECS; ++d) {
        [[unroll]] for (uint c = 0; c < 4; ++c) {
          float kj = subgroupShuffle(k[d][c], j);
          [[unroll]] for (uint r = 0; r < R; ++r) s[r] += q[r * HEAD_VECS + d][c] * kj;
        }
      }
      [[unroll]] for (uint r = 0; r < R; ++r) {
        int back = int(row.position + lane + LANES * r) - int(j0 + j);  // how far behind its query the key stands
        p[r * LANES + j] = back >= 0 && back < int(window) ? s[r] : kMasked;
        high[r] = max(high[r], p[r * LANES + j]);
      }
    }
    [[unroll]] for (uint r = 0; r < R; ++r) {
      shrink[r] = weight(top[r] - high[r]);
      top[r] = high[r];
      sum[r] *= shrink[r];
    }
    [[unroll]] for (uint j = 0; j < LANES; ++j) {
      [[unroll]] for (uint r = 0; r < R; ++r) {
        p[r * LANES + j] = weight(p[r * LANES + j] - top[r]);
        sum[r] += p[r * LANES + j];
      }
    }
    [[unroll]] for (uint d = 0; d < HEAD_VECS; ++d) {
      [[unroll]] for (uint c = 0; c < 4; ++c) {
        float vj[LANES];
        [[unroll]] for (uint j = 0; j < LANES; ++j) vj[j] = subgroupShuffle(v[d][c], j);
        [[unroll]] for (uint r = 0; r < R; ++r) {
          float a = acc[r * HEAD_VECS + d][c] * shrink[r];
          [[unroll]] for (uint j = 0; j < LANES; ++j) a += p[r * LANES + j] * vj[j];
          acc[r * HEAD_VECS + d][c] = a;
        }
      }
    }
  }
  [[unroll]] for (uint r = 0; r < R; ++r) {
    float inverse = live[r] ? 1 / sum[r] : 0;
    [[unroll]] for (uint d = 0; d < HEAD_VECS; ++d)
      if (lane + LANES * r < count)
        write_row(n + lane + LANES * r, head, d, live[r] ? acc[r * HEAD_VECS + d] * inverse : vec4(0));
  }
}
