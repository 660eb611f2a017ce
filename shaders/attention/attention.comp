#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
//! variant attention
//! variant attention_split SPLIT=1
//! variant attention_together TOGETHER=1
// out = softmax(q k^T scale, causal, window) v, with a running maximum (FlashAttention); log_sum_exp is kept for the backward pass.
#include "grid.glsl"
#include "values.glsl"
#include "attention.glsl"
#define DOTS 1
#include "attention_tile.glsl"
READ_VALUES(0, Q, q_words)
READ_VALUES(1, K, k_words)
READ_VALUES(2, V, v_words)
layout(set = 0, binding = 4) writeonly buffer LogSumExp { float log_sum_exp[]; };
shared vec4 k_tile[TILE * HEAD4];
shared vec4 v_tile[TILE * HEAD4];
HEAD_READER(read_q, q_words)
HEAD_READER(read_k, k_words)
HEAD_READER(read_v, v_words)
HEAD_WRITER(3, Out, attended)

void main() {
  Place at;
  if (!place_of_group(at)) return;
  uint lane = lane_index(), part = lane % C;
  uint group_first = (row_blocks - 1 - at.block) * ROWS;  // late rows see most keys: start them position
  uint position = group_first + lane / C;
  uint sequence_row = first_row + at.sequence * positions, head_word = at.head * HEAD;

  vec4 q[PART], acc[PART];
  float maximum = kNoMaximum, sum = 0;
  uint word = (sequence_row + min(position, positions - 1)) * q_ld + q_column + head_word;
  [[unroll]] for (uint e = 0; e < PART; ++e) {
    q[e] = read_q(word, part + C * e) * (scale * kLog2E);
    acc[e] = vec4(0);
  }

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
      if (j0 + STEP > position + 1 || j0 + window < position + 1) {
        [[unroll]] for (uint j = 0; j < STEP; ++j) {
          int back = int(position) - int(j0 + j);  // how far behind its query the key stands
          if (back < 0 || back >= int(window)) p[j] = kMasked;
        }
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
        [[unroll]] for (uint j = 0; j < STEP; ++j) {
          acc[e] += p[j] * v_tile[tile_word + j * HEAD4 + C * e];
        }
      }
    }
  }

  if (position < positions) {
    uint row = sequence_row + position;
    float inverse = 1 / sum;
    [[unroll]] for (uint e = 0; e < PART; ++e) write_attended(row * out_ld + head_word, part + C * e, acc[e] * inverse);
    if (part == 0) {
      log_sum_exp[row * log_sum_exp_ld + at.head] = (maximum + log2(sum)) * kLn2;
      // The padding. No loop that cannot be unrolled: it would keep the one around it, and so every array, from being resolved.
      [[unroll]] for (uint x = 0; x < 3; ++x) {
        bool last = at.head == heads - 1;
        if (last && heads + x < log_sum_exp_ld) log_sum_exp[row * log_sum_exp_ld + heads + x] = 0;
        uint word = row * out_ld + heads * HEAD + x;
        if (last && TYPE_OF(3) == kFp32 && heads * HEAD + x < out_ld) attended_fp32[word / 4][word % 4] = 0;
      }
    }
  }
}
