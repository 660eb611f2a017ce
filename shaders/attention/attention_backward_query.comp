#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
//! variant attention_backward_query
//! variant attention_backward_query_split SPLIT=1
//! variant attention_backward_query_together TOGETHER=1
// d_q = scale sum_j p_j (d_out v_j - delta) k_j with p_j = exp(scale q k_j - log_sum_exp), delta = sum(d_out * out).
// Leaves (log_sum_exp / ln 2, delta) of every row and head in `stats` for attention_backward_key.
#include "grid.glsl"
#include "values.glsl"
#include "attention.glsl"
#define DOTS 2
#include "attention_tile.glsl"
READ_VALUES(0, Q, q_words)
READ_VALUES(1, K, k_words)
READ_VALUES(2, V, v_words)
READ_VALUES(3, Out, out_words)
READ_VALUES(4, DOut, d_out_words)
layout(set = 0, binding = 5) readonly buffer LogSumExp { float log_sum_exp[]; };
layout(set = 0, binding = 6) writeonly buffer Stats { vec2 stats[]; };
shared vec4 k_tile[TILE * HEAD4];
shared vec4 v_tile[TILE * HEAD4];
HEAD_READER(read_q, q_words)
HEAD_READER(read_k, k_words)
HEAD_READER(read_v, v_words)
HEAD_READER(read_out, out_words)
HEAD_READER(read_d_out, d_out_words)
HEAD_WRITER(7, DQ, d_q)

void main() {
  Place at;
  if (!place_of_group(at)) return;
  uint lane = lane_index(), part = lane % C;
  uint group_first = (row_blocks - 1 - at.block) * ROWS;
  uint position = group_first + lane / C;
  uint sequence_row = first_row + at.sequence * positions, head_word = at.head * HEAD;

  vec4 q[PART], d_out[PART], acc[PART];
  uint row = sequence_row + min(position, positions - 1);
  float delta = 0;
  [[unroll]] for (uint e = 0; e < PART; ++e) {
    q[e] = read_q(row * q_ld + q_column + head_word, part + C * e) * (scale * kLog2E);
    d_out[e] = read_d_out(row * out_ld + head_word, part + C * e);
    delta += dot(d_out[e], read_out(row * out_ld + head_word, part + C * e));
    acc[e] = vec4(0);
  }
  share_part(0, delta);
  meet();
  delta = sum_of_parts(0, delta);
  float level = log_sum_exp[row * log_sum_exp_ld + at.head] * kLog2E;

  uint group_end = min(group_first + ROWS, positions), end = min(position + 1, positions);
  uint begin = uint(max(int(position) + 1 - int(window), 0));
  for (uint t0 = uint(max(int(group_first) + 1 - int(window), 0)); t0 < group_end; t0 += TILE) {
    barrier();
    for (uint x = lane; x < TILE * HEAD4; x += LOCAL) {
      uint row = sequence_row + min(t0 + x / HEAD4, positions - 1);
      k_tile[x] = read_k(row * k_ld + k_column + head_word, x % HEAD4);
      v_tile[x] = read_v(row * v_ld + v_column + head_word, x % HEAD4);
    }
    barrier();
    uint tile_begin = kTogether ? t0 : t0 + (max(begin, t0) - t0) / STEP * STEP;
    uint tile_end = min(t0 + TILE, kTogether ? group_end : end);
    for (uint j0 = tile_begin; j0 < tile_end; j0 += STEP) {
      uint tile_word = (j0 - t0) * HEAD4 + part;
      float s[STEP], d_p[STEP];
      [[unroll]] for (uint x = 0; x < STEP; ++x) s[x] = d_p[x] = 0;
      [[unroll]] for (uint e = 0; e < PART; ++e) {
        [[unroll]] for (uint j = 0; j < STEP; ++j) {
          vec4 k = k_tile[tile_word + j * HEAD4 + C * e], v = v_tile[tile_word + j * HEAD4 + C * e];
          [[unroll]] for (uint c = 0; c < 4; ++c) {
            s[j] += q[e][c] * k[c];
            d_p[j] += d_out[e][c] * v[c];
          }
        }
      }
      [[unroll]] for (uint j = 0; j < STEP; ++j) {
        share_part(2 * j, s[j]);
        share_part(2 * j + 1, d_p[j]);
      }
      meet();
      [[unroll]] for (uint j = 0; j < STEP; ++j) {
        int back = int(position) - int(j0 + j);
        float p_j = exp2(sum_of_parts(2 * j, s[j]) - level);
        float d_p_j = sum_of_parts(2 * j + 1, d_p[j]) - delta;
        s[j] = back >= 0 && back < int(window) ? p_j * d_p_j : 0;  // now d_s
      }
      [[unroll]] for (uint e = 0; e < PART; ++e) {
        [[unroll]] for (uint j = 0; j < STEP; ++j) {
          acc[e] += s[j] * k_tile[tile_word + j * HEAD4 + C * e];
        }
      }
    }
  }

  if (position < positions) {
    uint row = sequence_row + position;
    [[unroll]] for (uint e = 0; e < PART; ++e) {
      write_d_q(row * q_ld + q_column + head_word, part + C * e, acc[e] * scale);
    }
    if (part == 0) stats[row * stats_ld / 2 + at.head] = vec2(level, delta);
  }
}
