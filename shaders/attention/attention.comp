#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
//! variant attention
//! variant attention_split SPLIT=1
// out = softmax(q k^T scale, causal, window) v, with a running maximum (FlashAttention); log_sum_exp is kept for the backward pass.
#include "grid.glsl"
#include "attention.glsl"
#include "attention_tile.glsl"
layout(set = 0, binding = 0) readonly buffer Q { vec4 q_words[]; };
layout(set = 0, binding = 1) readonly buffer K { vec4 k_words[]; };
layout(set = 0, binding = 2) readonly buffer V { vec4 v_words[]; };
layout(set = 0, binding = 3) writeonly buffer Out { float attended[]; };
layout(set = 0, binding = 4) writeonly buffer LogSumExp { float log_sum_exp[]; };
shared vec4 k_tile[TILE * HEAD4];
shared vec4 v_tile[TILE * HEAD4];
HEAD_READER(read_q, q_words)
HEAD_READER(read_k, k_words)
HEAD_READER(read_v, v_words)
HEAD_WRITER(write_out, attended)

void main() {
  Place at;
  if (!place_of_group(at)) return;
  uint lane = lane_index(), part = lane % C;
  uint group_first = (row_blocks - 1 - at.block) * ROWS;  // late rows see most keys: start them first
  uint first = group_first + lane / C * R;
  uint sequence_row = first_row + at.sequence * positions, head_word = at.head * HEAD;

  vec4 q[R * PART], acc[R * PART];
  float maximum[R], sum[R];
  [[unroll]] for (uint r = 0; r < R; ++r) {
    uint word = (sequence_row + min(first + r, positions - 1)) * q_ld + q_column + head_word;
    [[unroll]] for (uint e = 0; e < PART; ++e) {
      q[r * PART + e] = read_q(word, part + C * e) * (scale * kLog2E);
      acc[r * PART + e] = vec4(0);
    }
    maximum[r] = kNoMaximum;
    sum[r] = 0;
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
      float p[R * STEP];
      [[unroll]] for (uint x = 0; x < R * STEP; ++x) p[x] = 0;
      [[unroll]] for (uint e = 0; e < PART; ++e) {
        [[unroll]] for (uint j = 0; j < STEP; ++j) {
          vec4 k = k_tile[tile_word + j * HEAD4 + C * e];
          [[unroll]] for (uint r = 0; r < R; ++r) {
            [[unroll]] for (uint c = 0; c < 4; ++c) p[r * STEP + j] += q[r * PART + e][c] * k[c];
          }
        }
      }
      [[unroll]] for (uint x = 0; x < R * STEP; ++x) p[x] = sum_of_parts(p[x]);
      if (j0 + STEP > first + 1 || j0 + window < first + R) {
        [[unroll]] for (uint r = 0; r < R; ++r) {
          [[unroll]] for (uint j = 0; j < STEP; ++j) {
            int back = int(first + r) - int(j0 + j);  // how far behind its query the key stands
            if (back < 0 || back >= int(window)) p[r * STEP + j] = kMasked;
          }
        }
      }
      [[unroll]] for (uint r = 0; r < R; ++r) {
        float top = maximum[r];
        [[unroll]] for (uint j = 0; j < STEP; ++j) top = max(top, p[r * STEP + j]);
        if (top > maximum[r]) {
          float shrink = exp2(maximum[r] - top);
          sum[r] *= shrink;
          [[unroll]] for (uint e = 0; e < PART; ++e) acc[r * PART + e] *= shrink;
          maximum[r] = top;
        }
        [[unroll]] for (uint j = 0; j < STEP; ++j) {
          p[r * STEP + j] = weight(p[r * STEP + j] - top);
          sum[r] += p[r * STEP + j];
        }
      }
      [[unroll]] for (uint e = 0; e < PART; ++e) {
        [[unroll]] for (uint j = 0; j < STEP; ++j) {
          vec4 v = v_tile[tile_word + j * HEAD4 + C * e];
          [[unroll]] for (uint r = 0; r < R; ++r) acc[r * PART + e] += p[r * STEP + j] * v;
        }
      }
    }
  }

  [[unroll]] for (uint r = 0; r < R; ++r) {
    if (first + r < positions) {
      uint row = sequence_row + first + r;
      float inverse = 1 / sum[r];
      [[unroll]] for (uint e = 0; e < PART; ++e) write_out(row * out_ld + head_word, part + C * e, acc[r * PART + e] * inverse);
      if (part == 0) {
        log_sum_exp[row * log_sum_exp_ld + at.head] = (maximum[r] + log2(sum[r])) * kLn2;
        // The padding. No loop that cannot be unrolled: it would keep the one around it, and so every array, from being resolved.
        [[unroll]] for (uint x = 0; x < 3; ++x) {
          bool last = at.head == heads - 1;
          if (last && heads + x < log_sum_exp_ld) log_sum_exp[row * log_sum_exp_ld + heads + x] = 0;
          if (last && heads * HEAD + x < out_ld) attended[row * out_ld + heads * HEAD + x] = 0;
        }
      }
    }
  }
}
