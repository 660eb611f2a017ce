#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_shuffle : require
//! variant attention_block
//! variant attention_block_turns TURNS=1
// out = softmax(q k^T scale, causal, window) v: the register-tiled form. A workgroup keeps BQ rows of q and of the output. With TURNS
// v takes the place of k in shared memory once the scores are there: less memory, one more barrier.
#include "grid.glsl"
#include "values.glsl"
#include "attention.glsl"
#include "attention_block.glsl"
#ifndef TURNS
#define TURNS 0
#endif
READ_VALUES(0, Q, q_words)
READ_VALUES(1, K, k_words)
READ_VALUES(2, V, v_words)
WRITE_VALUES(3, Out, attended)
layout(set = 0, binding = 4) writeonly buffer LogSumExp { float log_sum_exp[]; };
shared vec4 q_block[BQ * LINE];
shared vec4 key_block[(TURNS != 0 ? 1 : 2) * BK * LINE];  // k, v
shared vec4 p_block[BQ * SCORE_LINE];
shared float row_factor[BQ];
const uint V_BLOCK = TURNS != 0 ? 0 : BK * LINE;  // where v begins
const uint OY = LOCAL / OX, OQ = BQ / OY;  // an invocation's output rows: oy + OY * i

// Of key x / HEAD4 of the block from j0 on, vec4 x % HEAD4. Rows beyond the sequence repeat its last.
uint key_row(uint sequence_row, uint j0, uint x) { return sequence_row + min(j0 + x / HEAD4, positions - 1); }
vec4 k_at(uint row, uint d) { return k_words((row * k_ld + k_column) / 4 + d); }
vec4 v_at(uint row, uint d) { return v_words((row * v_ld + v_column) / 4 + d); }

void main() {
  Place at;
  if (!place_of_group(at)) return;
  uint lane = lane_index(), sx = lane % SX, sy = lane / SX, ox = lane % OX, oy = lane / OX;
  uint first = (row_blocks - 1 - at.block) * BQ;  // late rows see most keys: start them first
  uint sequence_row = first_row + at.sequence * positions, head_word = at.head * HEAD4;

  for (uint x = lane; x < BQ * HEAD4; x += LOCAL) {
    uint row = sequence_row + min(first + x / HEAD4, positions - 1);
    q_block[x / HEAD4 * LINE + x % HEAD4] = q_words((row * q_ld + q_column) / 4 + head_word + x % HEAD4) * (scale * kLog2E);
  }
  vec4 acc[OQ * OE];
  float top[SQ], sum[SQ];
  [[unroll]] for (uint x = 0; x < OQ * OE; ++x) acc[x] = vec4(0);
  [[unroll]] for (uint i = 0; i < SQ; ++i) {
    top[i] = kNoMaximum;
    sum[i] = 0;
  }

  uint end = min(first + BQ, positions);
  for (uint j0 = uint(max(int(first) + 1 - int(window), 0)) / BK * BK; j0 < end; j0 += BK) {
    barrier();
    for (uint x = lane; x < BK * HEAD4; x += LOCAL) {
      uint row = key_row(sequence_row, j0, x), to = x / HEAD4 * LINE + x % HEAD4;
      key_block[to] = k_at(row, head_word + x % HEAD4);
      if (TURNS == 0) key_block[V_BLOCK + to] = v_at(row, head_word + x % HEAD4);
    }
    barrier();

    float s[SQ * SK];
    [[unroll]] for (uint x = 0; x < SQ * SK; ++x) s[x] = 0;
    for (uint d0 = 0; d0 < HEAD4; d0 += STEP4) {
      [[unroll]] for (uint d = 0; d < STEP4; ++d) {
        vec4 q[SQ];
        [[unroll]] for (uint i = 0; i < SQ; ++i) q[i] = q_block[(sy + SY * i) * LINE + d0 + d];
        [[unroll]] for (uint j = 0; j < SK; ++j) {
          vec4 k = key_block[(sx + SX * j) * LINE + d0 + d];
          [[unroll]] for (uint i = 0; i < SQ; ++i)
            [[unroll]] for (uint c = 0; c < 4; ++c) s[i * SK + j] = fma(q[i][c], k[c], s[i * SK + j]);
        }
      }
    }
    if (j0 + BK > first + 1 || j0 + window < first + BQ) {
      [[unroll]] for (uint i = 0; i < SQ; ++i)
        [[unroll]] for (uint j = 0; j < SK; ++j) {
          int back = int(first + sy + SY * i) - int(j0 + sx + SX * j);  // how far behind its query the key stands
          if (back < 0 || back >= int(window)) s[i * SK + j] = kMasked;
        }
    }
    [[unroll]] for (uint i = 0; i < SQ; ++i) {
      float high = top[i];
      [[unroll]] for (uint j = 0; j < SK; ++j) high = max(high, s[i * SK + j]);
      [[unroll]] for (uint step = 1; step < SX; step *= 2) high = max(high, subgroupShuffleXor(high, step));
      float shrink = exp2(top[i] - high);
      top[i] = high;
      sum[i] *= shrink;
      uint row = sy + SY * i;
      if (sx == 0) row_factor[row] = shrink;
      [[unroll]] for (uint j = 0; j < SK; ++j) {
        float p = exp2(s[i * SK + j] - high);
        sum[i] += p;
        uint key = sx + SX * j;
        p_block[row * SCORE_LINE + key / 4][key % 4] = p;
      }
    }
    barrier();
    if (TURNS != 0) {
      for (uint x = lane; x < BK * HEAD4; x += LOCAL)
        key_block[x / HEAD4 * LINE + x % HEAD4] = v_at(key_row(sequence_row, j0, x), head_word + x % HEAD4);
      barrier();
    }

    [[unroll]] for (uint i = 0; i < OQ; ++i)
      [[unroll]] for (uint e = 0; e < OE; ++e) acc[i * OE + e] *= row_factor[oy + OY * i];
    for (uint k0 = 0; k0 < BK / 4; k0 += 2) {
      [[unroll]] for (uint k4 = 0; k4 < 2; ++k4) {
        vec4 p[OQ];
        [[unroll]] for (uint i = 0; i < OQ; ++i) p[i] = p_block[(oy + OY * i) * SCORE_LINE + k0 + k4];
        [[unroll]] for (uint c = 0; c < 4; ++c)
          [[unroll]] for (uint e = 0; e < OE; ++e) {
            vec4 v = key_block[V_BLOCK + ((k0 + k4) * 4 + c) * LINE + ox + OX * e];
            [[unroll]] for (uint i = 0; i < OQ; ++i) acc[i * OE + e] = fma(vec4(p[i][c]), v, acc[i * OE + e]);
          }
      }
    }
  }

  barrier();
  [[unroll]] for (uint i = 0; i < SQ; ++i) {
    [[unroll]] for (uint step = 1; step < SX; step *= 2) sum[i] += subgroupShuffleXor(sum[i], step);
    uint row = sy + SY * i;
    if (sx == 0) {
      row_factor[row] = 1 / sum[i];
      uint at_row = (sequence_row + first + row) * log_sum_exp_ld;
      if (first + row < positions) {
        log_sum_exp[at_row + at.head] = (top[i] + log2(sum[i])) * kLn2;
        [[unroll]] for (uint x = 0; x < 3; ++x)  // the padding
          if (at.head == heads - 1 && heads + x < log_sum_exp_ld) log_sum_exp[at_row + heads + x] = 0;
      }
    }
  }
  barrier();
  [[unroll]] for (uint i = 0; i < OQ; ++i) {
    uint row = oy + OY * i;
    if (first + row >= positions) continue;
    uint to = (sequence_row + first + row) * out_ld / 4;
    [[unroll]] for (uint e = 0; e < OE; ++e)
      if (ox + OX * e < HEAD4) set_attended(to + head_word + ox + OX * e, acc[i * OE + e] * row_factor[row]);
  }
}
