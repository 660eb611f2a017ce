#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
//! variant attention_backward_query
//! variant attention_backward_query_split SPLIT=1
// d_q = scale sum_j p_j (d_out v_j - delta) k_j with p_j = exp(scale q k_j - log_sum_exp), delta = sum(d_out * out).
// Leaves (log_sum_exp / ln 2, delta) of every row and head in `stats` for attention_backward_key.
#include "grid.glsl"
#include "attention.glsl"
#include "attention_tile.glsl"
layout(set = 0, binding = 0) readonly buffer Q { vec4 q_words[]; };
layout(set = 0, binding = 1) readonly buffer K { vec4 k_words[]; };
layout(set = 0, binding = 2) readonly buffer V { vec4 v_words[]; };
layout(set = 0, binding = 3) readonly buffer Out { vec4 out_words[]; };
layout(set = 0, binding = 4) readonly buffer DOut { vec4 d_out_words[]; };
layout(set = 0, binding = 5) readonly buffer LogSumExp { float log_sum_exp[]; };
layout(set = 0, binding = 6) writeonly buffer Stats { vec2 stats[]; };
layout(set = 0, binding = 7) writeonly buffer DQ { float d_q[]; };
shared vec4 k_tile[TILE * HEAD4];
shared vec4 v_tile[TILE * HEAD4];
HEAD_READER(read_q, q_words)
HEAD_READER(read_k, k_words)
HEAD_READER(read_v, v_words)
HEAD_READER(read_out, out_words)
HEAD_READER(read_d_out, d_out_words)
HEAD_WRITER(write_d_q, d_q)

void main() {
  Place at;
  if (!place_of_group(at)) return;
  uint lane = lane_index(), part = lane % C;
  uint group_first = (row_blocks - 1 - at.block) * ROWS;
  uint first = group_first + lane / C * R;
  uint sequence_row = first_row + at.sequence * positions, head_word = at.head * HEAD;

  vec4 q[R * PART], d_out[R * PART], acc[R * PART];
  float level[R], delta[R];  // log_sum_exp / ln 2
  [[unroll]] for (uint r = 0; r < R; ++r) {
    uint row = sequence_row + min(first + r, positions - 1);
    delta[r] = 0;
    [[unroll]] for (uint e = 0; e < PART; ++e) {
      q[r * PART + e] = read_q(row * q_ld + q_column + head_word, part + C * e) * (scale * kLog2E);
      d_out[r * PART + e] = read_d_out(row * out_ld + head_word, part + C * e);
      delta[r] += dot(d_out[r * PART + e], read_out(row * out_ld + head_word, part + C * e));
      acc[r * PART + e] = vec4(0);
    }
    delta[r] = sum_of_parts(delta[r]);
    level[r] = log_sum_exp[row * log_sum_exp_ld + at.head] * kLog2E;
  }

  uint group_end = min(group_first + ROWS, positions), end = min(first + R, positions);
  uint begin = uint(max(int(first) + 1 - int(window), 0));
  for (uint t0 = uint(max(int(group_first) + 1 - int(window), 0)); t0 < group_end; t0 += TILE) {
    barrier();
    for (uint x = lane; x < TILE * HEAD4; x += LOCAL) {
      uint row = sequence_row + min(t0 + x / HEAD4, positions - 1);
      k_tile[x] = read_k(row * k_ld + k_column + head_word, x % HEAD4);
      v_tile[x] = read_v(row * v_ld + v_column + head_word, x % HEAD4);
    }
    barrier();
    uint tile_end = min(t0 + TILE, end);
    for (uint j0 = t0 + (max(begin, t0) - t0) / STEP * STEP; j0 < tile_end; j0 += STEP) {
      uint tile_word = (j0 - t0) * HEAD4 + part;
      float s[R * STEP], d_p[R * STEP];
      [[unroll]] for (uint x = 0; x < R * STEP; ++x) s[x] = d_p[x] = 0;
      [[unroll]] for (uint e = 0; e < PART; ++e) {
        [[unroll]] for (uint j = 0; j < STEP; ++j) {
          vec4 k = k_tile[tile_word + j * HEAD4 + C * e], v = v_tile[tile_word + j * HEAD4 + C * e];
          [[unroll]] for (uint r = 0; r < R; ++r) {
            [[unroll]] for (uint c = 0; c < 4; ++c) {
              s[r * STEP + j] += q[r * PART + e][c] * k[c];
              d_p[r * STEP + j] += d_out[r * PART + e][c] * v[c];
            }
          }
        }
      }
      [[unroll]] for (uint r = 0; r < R; ++r) {
        [[unroll]] for (uint j = 0; j < STEP; ++j) {
          uint x = r * STEP + j;
          int back = int(first + r) - int(j0 + j);
          float weight = exp2(sum_of_parts(s[x]) - level[r]);
          float d_weight = sum_of_parts(d_p[x]) - delta[r];
          s[x] = back >= 0 && back < int(window) ? weight * d_weight : 0;
        }
      }
      [[unroll]] for (uint e = 0; e < PART; ++e) {
        [[unroll]] for (uint j = 0; j < STEP; ++j) {
          vec4 k = k_tile[tile_word + j * HEAD4 + C * e];
          [[unroll]] for (uint r = 0; r < R; ++r) acc[r * PART + e] += s[r * STEP + j] * k;
        }
      }
    }
  }

  [[unroll]] for (uint r = 0; r < R; ++r) {
    if (first + r < positions) {
      uint row = sequence_row + first + r;
      [[unroll]] for (uint e = 0; e < PART; ++e) {
        write_d_q(row * q_ld + q_column + head_word, part + C * e, acc[r * PART + e] * scale);
      }
      if (part == 0) stats[row * stats_ld / 2 + at.head] = vec2(level[r], delta[r]);
    }
  }
}
