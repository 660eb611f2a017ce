#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
//! variant cached_attention
//! variant cached_attention_split SPLIT=1
//! variant cached_attention_subgroup SUBGROUP=1
//! variant cached_attention_subgroup_split SUBGROUP=1 SPLIT=1
// out = softmax(q k^T scale, causal, window) v for rows of many texts, whose earlier keys and values lie in the cache; and the cache's new
// rows. A workgroup takes one row and QUERIES heads that share keys, and with SPLIT the positions [span s, span (s + 1)) alone, whose sums
// cached_attention_merge adds up. It goes through tiles of LOCAL positions, whose first is a multiple of LOCAL: each invocation makes
// scores of one key, or C of a subgroup do so of C keys, then every invocation sums four columns of the values of each PARTS-th key. So
// the order of sums depends on positions alone.
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 128;
layout(constant_id = 1) const uint HEAD = 32;
layout(constant_id = 2) const bool ROTATED = false;
layout(constant_id = 3) const uint QUERIES = 1;  // heads of q that share a head of keys in a workgroup
layout(constant_id = 4) const uint C = 1;        // invocations a key; a power of two up to 8, 1 without SUBGROUP
READ_VALUES(0, Q, q_words)
READ_VALUES(1, K, k_words)
READ_VALUES(2, V, v_words)
MODIFY_VALUES(3, Cache, cache)
layout(set = 0, binding = 4) readonly buffer Places { uint places[]; };
READ_VALUES(5, Angles, angle_words)
#ifdef SPLIT
layout(set = 0, binding = 6) writeonly buffer SplitSums { vec4 sums[]; };  // [row, head, split]: maximum and sum, then the head
#else
#define ATTENDED
WRITE_VALUES(6, Out, attended)
#endif
#include "cached_attention.glsl"
HEAD_PART(cached_part, cache)

const uint PARTS = LOCAL / HEAD_VECS;
shared vec4 q_part[QUERIES * HEAD_VECS];
shared float scores[QUERIES * LOCAL];
shared vec4 part_sums[LOCAL];
shared vec2 part_stats[PARTS];

uint lane_index() {
#ifdef SUBGROUP
  return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID;
#else
  return gl_LocalInvocationID.x;
#endif
}

#ifdef SPLIT
// Where a split leaves its sums of a head; rows are those of this launch.
uint sums_at(uint n, uint head, uint part) { return (((n - first_row) * heads + head) * splits + part) * (HEAD_VECS + 1); }
#endif

// Loads that are under way at once: of a key E vec4s an invocation, of so many keys U; of values VALUES.
const uint KEY_VECS = (HEAD_VECS + C - 1) / C;
const uint E = KEY_VECS < 8 ? KEY_VECS : 8;
const uint MOST_U = 8 / E;
const uint U = C < MOST_U ? C : MOST_U >= 8 ? 8 : MOST_U >= 4 ? 4 : MOST_U >= 2 ? 2 : 1;
const uint MOST_VALUES = QUERIES > 1 ? 4 : 8;  // registers hold sums of every query besides
const uint VALUES = HEAD_VECS < MOST_VALUES ? HEAD_VECS : MOST_VALUES;

// Columns of the cached values at x0, x0 + PARTS, ... of the tile that begins at t0; zero from `to` on.
void load_values(Row row, uint kv_head, uint d, uint t0, uint x0, uint to, out vec4 v[VALUES]) {
  [[unroll]] for (uint i = 0; i < VALUES; ++i) {
    uint x = x0 + i * PARTS;
    v[i] = x < to ? cached_part(cache_word_of(row, t0 + x) + (kv_heads + kv_head) * HEAD, d) : vec4(0);
  }
}

// Scores of the keys [t0, t0 + LOCAL), masked outside [begin, end).
void make_scores(Row row, uint kv_head, uint t0, uint begin, uint end) {
  uint lane = lane_index(), part = lane % C, j0 = t0 + lane / C;
  for (uint pass = 0; pass < C; pass += U) {
    float s[U * QUERIES];
    [[unroll]] for (uint i = 0; i < U * QUERIES; ++i) s[i] = 0;
    for (uint e0 = 0; e0 < KEY_VECS; e0 += E) {
      vec4 k[U * E];
      [[unroll]] for (uint u = 0; u < U; ++u) {
        uint j = j0 + (pass + u) * (LOCAL / C), word = cache_word_of(row, max(j, row.begin)) + kv_head * HEAD;
        [[unroll]] for (uint e = 0; e < E; ++e) {
          uint d = part + (e0 + e) * C;
          k[u * E + e] = j >= begin && j < min(end, row.run_begin) && d < HEAD_VECS ? cached_part(word, d) : vec4(0);
        }
      }
      [[unroll]] for (uint u = 0; u < U; ++u) {
        uint j = j0 + (pass + u) * (LOCAL / C);
        if (j < max(begin, row.run_begin) || j >= end) continue;
        [[unroll]] for (uint e = 0; e < E; ++e) {
          uint d = part + (e0 + e) * C;
          if (d < HEAD_VECS) k[u * E + e] = key_part(row, kv_head, d, j);
        }
      }
      [[unroll]] for (uint u = 0; u < U; ++u) {
        [[unroll]] for (uint e = 0; e < E; ++e) {
          uint d = min(part + (e0 + e) * C, HEAD_VECS - 1);
          [[unroll]] for (uint q = 0; q < QUERIES; ++q)
            s[u * QUERIES + q] += dot(q_part[q * HEAD_VECS + d], k[u * E + e]);
        }
      }
    }
    [[unroll]] for (uint u = 0; u < U; ++u) {
      uint j = j0 + (pass + u) * (LOCAL / C);
      [[unroll]] for (uint q = 0; q < QUERIES; ++q) {
        float score = s[u * QUERIES + q];
#ifdef SUBGROUP
        if (C > 1) score += subgroupShuffleXor(score, 1);  // no loop: not every compiler unrolls one that doubles
        if (C > 2) score += subgroupShuffleXor(score, 2);
        if (C > 4) score += subgroupShuffleXor(score, 4);
#endif
        if (part == 0) scores[q * LOCAL + j - t0] = j >= begin && j < end ? score : kMasked;
      }
    }
  }
}

// What some keys add up to: the largest score, the sum of the weights below it, and of the values times those.
struct Sums {
  float top, sum;
  vec4 acc;
};
// Parts whose sums go through shared memory: one a subgroup, where the lanes of a part fill it evenly, else all.
uint parts_left() {
#ifdef SUBGROUP
  if (HEAD_VECS < gl_SubgroupSize && gl_SubgroupSize % HEAD_VECS == 0) return LOCAL / gl_SubgroupSize;
#endif
  return PARTS;
}
Sums joined_in_subgroup(Sums own) {
#ifdef SUBGROUP
  if (parts_left() == PARTS) return own;
  for (uint reach = HEAD_VECS; reach < gl_SubgroupSize; reach *= 2) {
    Sums other = Sums(subgroupShuffleXor(own.top, reach), subgroupShuffleXor(own.sum, reach), subgroupShuffleXor(own.acc, reach));
    float high = max(own.top, other.top), share = weight(own.top - high), other_share = weight(other.top - high);
    own = Sums(high, own.sum * share + other.sum * other_share, own.acc * share + other.acc * other_share);
  }
#endif
  return own;
}

void main() {
  uint group = linear_group(), lane = lane_index();
  if (group >= groups) {
    if (group < groups + rows) store_row(first_row + group - groups, lane, LOCAL);
    return;
  }
  uint shared_by = heads / kv_heads, query_parts = (shared_by + QUERIES - 1) / QUERIES;
  uint split = group % splits, item = group / splits;
  uint first_query = item % query_parts * QUERIES, kv_head = item / query_parts % kv_heads;
  uint n = first_row + item / query_parts / kv_heads, first_head = kv_head * shared_by + first_query;
  uint queries = min(QUERIES, shared_by - first_query);
  uint d = lane % HEAD_VECS, part = lane / HEAD_VECS;  // of the sums over values
  Row row = row_of(n);
#ifndef SPLIT
  if (!row.live) {
    for (uint q = part; q < queries; q += PARTS)
      if (part < PARTS) write_row(n, first_head + q, d, vec4(0));
  }
#endif
  if (!row.bound) return;
  uint span_begin = (row.begin / span + split) * span;
  uint begin = max(row.begin, span_begin), end = min(row.position + 1, span_begin + span);
  if (splits == 1) end = row.position + 1;
  if (begin >= end) return;

  for (uint x = lane; x < QUERIES * HEAD_VECS; x += LOCAL)
    q_part[x] = query_part(n, first_head + min(x / HEAD_VECS, queries - 1), x % HEAD_VECS, row.position);
  float top[QUERIES], sum[QUERIES];
  vec4 acc[QUERIES];
  [[unroll]] for (uint q = 0; q < QUERIES; ++q) {
    top[q] = kNoMaximum;
    sum[q] = 0;
    acc[q] = vec4(0);
  }
  for (uint t0 = begin / LOCAL * LOCAL; t0 < end; t0 += LOCAL) {
    uint from = max(begin, t0) - t0, to = min(end - t0, LOCAL), cached_to = clamp(row.run_begin, t0, t0 + to) - t0;
    from = part + (max(from, part) - part + PARTS - 1) / PARTS * PARTS;
    vec4 v[VALUES];
    if (part < PARTS) load_values(row, kv_head, d, t0, from, cached_to, v);  // under way while scores are made
    barrier();
    make_scores(row, kv_head, t0, begin, end);
    barrier();
    if (part < PARTS) {
      float high[QUERIES];
      [[unroll]] for (uint q = 0; q < QUERIES; ++q) high[q] = top[q];
      for (uint x = from; x < to; x += PARTS)
        [[unroll]] for (uint q = 0; q < QUERIES; ++q) high[q] = max(high[q], scores[q * LOCAL + x]);
      [[unroll]] for (uint q = 0; q < QUERIES; ++q) {
        float shrink = high[q] > top[q] ? exp2(top[q] - high[q]) : 1;
        top[q] = high[q];
        sum[q] *= shrink;
        acc[q] *= shrink;
      }
      for (uint x0 = from; x0 < to; x0 += VALUES * PARTS) {
        if (x0 != from) load_values(row, kv_head, d, t0, x0, cached_to, v);
        [[unroll]] for (uint i = 0; i < VALUES; ++i) {
          uint x = x0 + i * PARTS;
          if (x >= to) break;
          if (x >= cached_to) v[i] = value_part(row, kv_head, d, t0 + x);
          [[unroll]] for (uint q = 0; q < QUERIES; ++q) {
            float p = weight(scores[q * LOCAL + x] - top[q]);
            sum[q] += p;
            acc[q] = fma(vec4(p), v[i], acc[q]);
          }
        }
      }
    }
  }

  [[unroll]] for (uint q = 0; q < QUERIES; ++q) {
    barrier();
    Sums own = joined_in_subgroup(Sums(top[q], sum[q], acc[q]));
    uint parts = parts_left(), at = lane / HEAD_VECS;
    bool tells = part < PARTS;
#ifdef SUBGROUP
    if (parts < PARTS) {
      tells = gl_SubgroupInvocationID < HEAD_VECS;
      at = gl_SubgroupID;
    }
#endif
    if (tells) part_sums[at * HEAD_VECS + d] = own.acc;
    if (tells && d == 0) part_stats[at] = vec2(own.top, own.sum);
    barrier();
    if (part > 0 || q >= queries) continue;
    float high = kNoMaximum, total = 0;
    vec4 attended_sum = vec4(0);
    for (uint x = 0; x < parts; ++x) high = max(high, part_stats[x].x);
    for (uint x = 0; x < parts; ++x) {
      float share = weight(part_stats[x].x - high);
      total = fma(part_stats[x].y, share, total);
      attended_sum = fma(part_sums[x * HEAD_VECS + d], vec4(share), attended_sum);
    }
#ifdef SPLIT
    uint at_split = sums_at(n, first_head + q, split);
    if (d == 0) sums[at_split] = vec4(high, total, 0, 0);
    sums[at_split + 1 + d] = attended_sum;
#else
    write_row(n, first_head + q, d, attended_sum / total);
#endif
  }
}
