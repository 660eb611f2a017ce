#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
//! variant attention_backward_key
//! variant attention_backward_key_split SPLIT=1
//! variant attention_backward_key_together TOGETHER=1
// d_v_j = sum_i p_ij d_out_i, d_k_j = scale sum_i p_ij (d_out_i v_j - delta_i) q_i over the queries i that see key j.
#include "grid.glsl"
#include "values.glsl"
#include "attention.glsl"
#define DOTS 2
#include "attention_tile.glsl"
READ_VALUES(0, Q, q_words)
READ_VALUES(1, K, k_words)
READ_VALUES(2, V, v_words)
READ_VALUES(3, DOut, d_out_words)
layout(set = 0, binding = 4) readonly buffer Stats { vec2 stats[]; };  // (log_sum_exp / ln 2, delta)
shared vec4 q_tile[TILE * HEAD4];
shared vec4 d_out_tile[TILE * HEAD4];
shared vec2 stats_tile[TILE];
HEAD_READER(read_q, q_words)
HEAD_READER(read_k, k_words)
HEAD_READER(read_v, v_words)
HEAD_READER(read_d_out, d_out_words)
HEAD_WRITER(5, DK, d_k)
HEAD_WRITER(6, DV, d_v)

void main() {
  Place at;
  if (!place_of_group(at)) return;
  uint lane = lane_index(), part = lane % C;
  uint group_first = at.block * ROWS;  // early keys are seen by most queries: start them position
  uint position = group_first + lane / C;
  uint sequence_row = first_row + at.sequence * positions, head_word = at.head * HEAD;

  vec4 k[PART], v[PART], d_k_acc[PART], d_v_acc[PART];
  uint row = sequence_row + min(position, positions - 1);
  [[unroll]] for (uint e = 0; e < PART; ++e) {
    k[e] = read_k(row * k_ld + k_column + head_word, part + C * e) * (scale * kLog2E);
    v[e] = read_v(row * v_ld + v_column + head_word, part + C * e);
    d_k_acc[e] = d_v_acc[e] = vec4(0);
  }

  uint group_end = min(group_first + ROWS - 1 + window, positions), end = min(position + window, positions);
  for (uint t0 = group_first; t0 < group_end; t0 += TILE) {
    barrier();
    for (uint x = lane; x < TILE * HEAD4; x += LOCAL) {
      uint row = sequence_row + min(t0 + x / HEAD4, positions - 1);
      q_tile[x] = read_q(row * q_ld + q_column + head_word, x % HEAD4);
      d_out_tile[x] = read_d_out(row * out_ld + head_word, x % HEAD4);
    }
    for (uint x = lane; x < TILE; x += LOCAL) {
      stats_tile[x] = stats[(sequence_row + min(t0 + x, positions - 1)) * stats_ld / 2 + at.head];
    }
    barrier();
    uint tile_begin = kTogether ? t0 : t0 + (max(position, t0) - t0) / STEP * STEP;
    uint tile_end = min(t0 + TILE, kTogether ? group_end : end);
    for (uint i0 = tile_begin; i0 < tile_end; i0 += STEP) {
      uint tile_word = (i0 - t0) * HEAD4 + part;
      float p[STEP], d_s[STEP];
      [[unroll]] for (uint x = 0; x < STEP; ++x) p[x] = d_s[x] = 0;
      [[unroll]] for (uint e = 0; e < PART; ++e) {
        [[unroll]] for (uint i = 0; i < STEP; ++i) {
          vec4 q = q_tile[tile_word + i * HEAD4 + C * e], d_out = d_out_tile[tile_word + i * HEAD4 + C * e];
          [[unroll]] for (uint c = 0; c < 4; ++c) {
            p[i] += k[e][c] * q[c];
            d_s[i] += v[e][c] * d_out[c];
          }
        }
      }
      [[unroll]] for (uint i = 0; i < STEP; ++i) {
        share_part(2 * i, p[i]);
        share_part(2 * i + 1, d_s[i]);
      }
      meet();
      [[unroll]] for (uint i = 0; i < STEP; ++i) {
        vec2 level_delta = stats_tile[i0 - t0 + i];
        int back = int(i0 + i) - int(position);
        bool seen = back >= 0 && back < int(window) && i0 + i < positions;
        float p_i = exp2(sum_of_parts(2 * i, p[i]) - level_delta.x);
        p[i] = seen ? p_i : 0;
        d_s[i] = p[i] * (sum_of_parts(2 * i + 1, d_s[i]) - level_delta.y);
      }
      [[unroll]] for (uint e = 0; e < PART; ++e) {
        [[unroll]] for (uint i = 0; i < STEP; ++i) {
          vec4 q = q_tile[tile_word + i * HEAD4 + C * e], d_out = d_out_tile[tile_word + i * HEAD4 + C * e];
          d_k_acc[e] += d_s[i] * q;
          d_v_acc[e] += p[i] * d_out;
        }
      }
    }
  }

  if (position < positions) {
    uint row = sequence_row + position;
    [[unroll]] for (uint e = 0; e < PART; ++e) {
      write_d_k(row * k_ld + k_column + head_word, part + C * e, d_k_acc[e] * scale);
      write_d_v(row * v_ld + v_column + head_word, part + C * e, d_v_acc[e]);
    }
  }
}
