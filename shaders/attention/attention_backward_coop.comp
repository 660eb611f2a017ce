#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
//! variant attention_backward_coop_khr COOPMAT=1 REQUIRES:GL_KHR_cooperative_matrix
//! variant attention_backward_coop_khr_bf16 COOPMAT=1 COOP_BF16=1 REQUIRES:GL_NV_cooperative_matrix REWRITTEN:kKhrBf16
//! variant attention_backward_coop_nv COOPMAT=2 REQUIRES:GL_NV_cooperative_matrix
//! variant attention_backward_coop_emulated COOPMAT=0
#include "coopmat.glsl"
// d_v = p^T d_out, d_k = scale d_s^T q, and for every block of keys its part of d_q / scale = d_s k, with
// d_s = p (d_out v^T - delta), on cooperative matrices. A workgroup keeps BK keys, a subgroup 16 of them, and goes through the queries
// that see them; attention_backward_sum adds the parts of d_q in the order of the keys.
#include "grid.glsl"
#include "values.glsl"
#include "attention.glsl"
#define OWN_ROWS BK
#include "attention_coop.glsl"
#include "attention_parts.glsl"
READ_HALF(0, Q, q_words)
READ_HALF(1, K, k_words)
READ_HALF(2, V, v_words)
READ_HALF(3, DOut, d_out_words)
layout(set = 0, binding = 4) readonly buffer Stats { vec2 stats[]; };  // (log_sum_exp / ln 2, delta)
WRITE_VALUES(5, DK, d_k)
WRITE_VALUES(6, DV, d_v)
layout(set = 0, binding = 7) writeonly buffer Parts { uvec4 parts[]; };  // 4 fp32 each
shared uvec4 q_block[BQ * LINE];
shared uvec4 d_out_block[BQ * LINE];
shared uvec4 k_block[BK * LINE];  // at first the values
shared uvec4 d_s_block[BQ * WEIGHT_LINE];
const uint SUM_LINE = 5, P_LINE = 3, SUM_TILE = 16 * SUM_LINE;
shared uvec4 tiles[WARPS * SUM_TILE];  // of a subgroup: sums of 16 x 16, fp32, or weights, 16 bits
shared vec2 stats_block[BQ];

// Lane's 8 values of the subgroup's sums: columns 8 (l % 2) + 4 half_row on of row l / 2.
vec4 sum_at(uint tile, uint half_row) {
  return uintBitsToFloat(tiles[tile + COOP_LANE / 2 * SUM_LINE + COOP_LANE % 2 * 2 + half_row]);
}

const uint FETCHES = (BQ * HEAD8 + LOCAL - 1) / LOCAL, STATS_FETCHES = (BQ + LOCAL - 1) / LOCAL;
uvec4 q_next[FETCHES], d_out_next[FETCHES];
vec2 stats_next[STATS_FETCHES];

// A block of queries, from i0 on, on its way to shared memory. Rows beyond the sequence repeat its last.
void fetch_queries(Place at, uint i0) {
  uint sequence_row = first_row + at.sequence * positions;
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    uint x = gl_LocalInvocationID.x + i * LOCAL, column = at.head * HEAD8 + x % HEAD8;
    uint row = sequence_row + min(i0 + x / HEAD8, positions - 1);
    d_out_next[i] = d_out_words8(row * (out_ld / 8) + column);
    q_next[i] = q_words8((row * q_ld + q_column) / 8 + column);
  }
  [[unroll]] for (uint i = 0; i < STATS_FETCHES; ++i)
    stats_next[i] = stats[(sequence_row + min(i0 + gl_LocalInvocationID.x + i * LOCAL, positions - 1)) * stats_ld / 2 + at.head];
}
void share_queries() {
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    uint x = gl_LocalInvocationID.x + i * LOCAL;
    if (x >= BQ * HEAD8) break;
    d_out_block[x / HEAD8 * LINE + x % HEAD8] = d_out_next[i];
    q_block[x / HEAD8 * LINE + x % HEAD8] = q_next[i];
  }
  [[unroll]] for (uint i = 0; i < STATS_FETCHES; ++i)
    if (gl_LocalInvocationID.x + i * LOCAL < BQ) stats_block[gl_LocalInvocationID.x + i * LOCAL] = stats_next[i];
}

void main() {
  Place at;
  if (!place_of_group(at)) return;
  uint lane = COOP_WARP * 32 + COOP_LANE, warp = COOP_WARP;
  uint first = at.block * BK;  // early keys are seen by most queries: start them first
  uint sequence_row = first_row + at.sequence * positions, head_word = at.head * HEAD8;
  uint part_row = part_of_sequence(at.sequence, BK) + part_of_block(at.block, BK);
  uint tile = warp * SUM_TILE;

  COOP_B k[HEAD16], v[HEAD16];  // the subgroup's 16 keys, transposed
  COOP_SUM d_k_sum[HEAD16], d_v_sum[HEAD16];
  for (uint x = lane; x < BK * HEAD8; x += LOCAL) {
    uint row = sequence_row + min(first + x / HEAD8, positions - 1);
    k_block[x / HEAD8 * LINE + x % HEAD8] = v_words8((row * v_ld + v_column) / 8 + head_word + x % HEAD8);
  }
  barrier();
  [[unroll]] for (uint d = 0; d < HEAD16; ++d) {
    COOP_LOAD_B(v[d], k_block, warp * 16 * LINE + d * 2, LINE, 1);
    COOP_ZERO(d_v_sum[d]);
  }
  barrier();
  for (uint x = lane; x < BK * HEAD8; x += LOCAL) {
    uint row = sequence_row + min(first + x / HEAD8, positions - 1);
    k_block[x / HEAD8 * LINE + x % HEAD8] = k_words8((row * k_ld + k_column) / 8 + head_word + x % HEAD8);
  }
  barrier();
  [[unroll]] for (uint d = 0; d < HEAD16; ++d) {
    COOP_LOAD_B(k[d], k_block, warp * 16 * LINE + d * 2, LINE, 1);
    COOP_ZERO(d_k_sum[d]);
  }

  uint end = min(first + BK - 1 + window, positions);
  fetch_queries(at, first);
  for (uint i0 = first; i0 < end; i0 += BQ) {
    barrier();  // nobody reads the block before any more
    share_queries();
    barrier();
    fetch_queries(at, i0 + BQ);

    [[unroll]] for (uint strip = 0; strip < BQ / 16; ++strip) {
      COOP_SUM s, d_p;
      COOP_ZERO(s);
      COOP_ZERO(d_p);
      [[unroll]] for (uint d = 0; d < HEAD16; ++d) {
        COOP_A q, d_out;
        COOP_LOAD_A(q, q_block, strip * 16 * LINE + d * 2, LINE, 0);
        COOP_LOAD_A(d_out, d_out_block, strip * 16 * LINE + d * 2, LINE, 0);
        COOP_MULTIPLY_ADD(q, k[d], s);
        COOP_MULTIPLY_ADD(d_out, v[d], d_p);
      }
      // Through one tile in turn, which leaves room for a second workgroup on a core.
      uint query = strip * 16 + COOP_LANE / 2, key = warp * 16 + COOP_LANE % 2 * 8;
      vec2 level_delta = stats_block[query];
      vec4 p[2], d_s[2];
      COOP_STORE(s, tiles, tile, SUM_LINE);
      COOP_SYNC;
      [[unroll]] for (uint h = 0; h < 2; ++h) p[h] = exp2(sum_at(tile, h) * (scale * kLog2E) - level_delta.x);
      COOP_SYNC;
      COOP_STORE(d_p, tiles, tile, SUM_LINE);
      COOP_SYNC;
      [[unroll]] for (uint h = 0; h < 2; ++h) {
        int back = int(i0 + query) - int(first + key + 4 * h);  // how far behind its query the first key stands
        ivec4 behind = back - ivec4(0, 1, 2, 3);
        bvec4 seen = lessThan(uvec4(behind), uvec4(i0 + query < positions ? window : 0));
        p[h] = mix(vec4(0), p[h], seen);
        d_s[h] = mix(vec4(0), p[h] * (sum_at(tile, h) - level_delta.y), seen);
      }
      COOP_SYNC;
      tiles[tile + COOP_LANE / 2 * P_LINE + COOP_LANE % 2] = PACK8(p[0], p[1]);
      d_s_block[query * WEIGHT_LINE + key / 8] = PACK8(d_s[0], d_s[1]);
      COOP_SYNC;
      COOP_A p_back, d_s_back;  // transposed: the subgroup's keys by 16 queries
      COOP_LOAD_A(p_back, tiles, tile, P_LINE, 1);
      COOP_LOAD_A(d_s_back, d_s_block, strip * 16 * WEIGHT_LINE + warp * 2, WEIGHT_LINE, 1);
      [[unroll]] for (uint d = 0; d < HEAD16; ++d) {
        COOP_B q, d_out;
        COOP_LOAD_B(d_out, d_out_block, strip * 16 * LINE + d * 2, LINE, 0);
        COOP_LOAD_B(q, q_block, strip * 16 * LINE + d * 2, LINE, 0);
        COOP_MULTIPLY_ADD(p_back, d_out, d_v_sum[d]);
        COOP_MULTIPLY_ADD(d_s_back, q, d_k_sum[d]);
      }
      COOP_SYNC;
    }
    barrier();
    for (uint fragment = warp; fragment < BQ / 16 * HEAD16; fragment += WARPS) {
      uint strip = fragment / HEAD16, d = fragment % HEAD16;
      COOP_SUM d_q;
      COOP_ZERO(d_q);
      [[unroll]] for (uint key = 0; key < BK / 16; ++key) {
        COOP_A d_s;
        COOP_B keys;
        COOP_LOAD_A(d_s, d_s_block, strip * 16 * WEIGHT_LINE + key * 2, WEIGHT_LINE, 0);
        COOP_LOAD_B(keys, k_block, key * 16 * LINE + d * 2, LINE, 0);
        COOP_MULTIPLY_ADD(d_s, keys, d_q);
      }
      // A part has whole strips of 16 rows.
      uint row = i0 + strip * 16;
      if (row < positions) {
        COOP_STORE(d_q, parts, (part_row + row - first) * (heads * HEAD / 4) + at.head * (HEAD / 4) + d * 4, heads * HEAD / 4);
      }
    }
  }

  [[unroll]] for (uint d = 0; d < HEAD16; ++d) {
    uint key = first + warp * 16 + COOP_LANE / 2, row = sequence_row + key;
    uint column = at.head * (HEAD / 4) + d * 4 + COOP_LANE % 2 * 2;
    COOP_STORE(d_k_sum[d], tiles, tile, SUM_LINE);
    COOP_SYNC;
    [[unroll]] for (uint h = 0; h < 2; ++h)
      if (key < positions) set_d_k((row * k_ld + k_column) / 4 + column + h, sum_at(tile, h) * scale);
    COOP_SYNC;
    COOP_STORE(d_v_sum[d], tiles, tile, SUM_LINE);
    COOP_SYNC;
    [[unroll]] for (uint h = 0; h < 2; ++h)
      if (key < positions) set_d_v((row * v_ld + v_column) / 4 + column + h, sum_at(tile, h));
    COOP_SYNC;
  }
}
