#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// d_v = p^T d_out, d_k = scale d_s^T q, and for every block of keys its part of d_q = scale d_s k, with d_s = p (d_out v^T - delta):
// the register-tiled form. A workgroup keeps BK keys and goes through the queries that see them, so that the scores are computed once
// for all three; attention_backward_sum adds the parts of d_q in the order of the keys.
#include "grid.glsl"
#include "values.glsl"
#include "attention.glsl"
#include "attention_block.glsl"
#include "attention_parts.glsl"
layout(constant_id = 6) const uint QX = 8;  // invocations along the head in a block of d_q
READ_VALUES(0, Q, q_words)
READ_VALUES(1, K, k_words)
READ_VALUES(2, V, v_words)
READ_VALUES(3, DOut, d_out_words)
layout(set = 0, binding = 4) readonly buffer Stats { vec2 stats[]; };  // (log_sum_exp / ln 2, delta)
WRITE_VALUES(5, DK, d_k)
WRITE_VALUES(6, DV, d_v)
layout(set = 0, binding = 7) writeonly buffer Parts { vec4 parts[]; };
// One half of the workgroup multiplies d_v = p^T d_out, the other d_k = d_s^T q: the same code on the two halves of these.
shared vec4 query_block[2 * BQ * LINE];        // d_out, q scale / ln 2
shared vec4 weight_block[2 * BQ * SCORE_LINE]; // p, d_s
shared vec4 k_block[BK * LINE];
shared vec4 v_block[BK * LINE];
shared vec2 stats_block[BQ];
const uint OY = LOCAL / 2 / OX, OK4 = BK / 4 / OY;                               // keys 4 * (oy + OY * i) + c
const uint QY = LOCAL / QX, QQ = BQ / QY, QE = (HEAD4 + QX - 1) / QX;            // d_q: queries qy + QY * i
const uint D_OUT = 0, SCALED_Q = BQ * LINE, P = 0, D_S = BQ * SCORE_LINE;        // beginnings of the halves

void main() {
  Place at;
  if (!place_of_group(at)) return;
  uint lane = lane_index(), sx = lane % SX, sy = lane / SX, qx = lane % QX, qy = lane / QX;
  uint side = lane / (LOCAL / 2), ox = lane % OX, oy = lane % (LOCAL / 2) / OX;
  uint first = at.block * BK;  // early keys are seen by most queries: start them first
  uint sequence_row = first_row + at.sequence * positions, head_word = at.head * HEAD4;
  uint part_row = part_of_sequence(at.sequence, BK) + part_of_block(at.block, BK);

  for (uint x = lane; x < BK * HEAD4; x += LOCAL) {
    uint row = sequence_row + min(first + x / HEAD4, positions - 1), to = x / HEAD4 * LINE + x % HEAD4;
    k_block[to] = k_words((row * k_ld + k_column) / 4 + head_word + x % HEAD4);
    v_block[to] = v_words((row * v_ld + v_column) / 4 + head_word + x % HEAD4);
  }
  vec4 acc[OK4 * 4 * OE];
  [[unroll]] for (uint x = 0; x < OK4 * 4 * OE; ++x) acc[x] = vec4(0);

  uint end = min(first + BK - 1 + window, positions);
  for (uint i0 = first; i0 < end; i0 += BQ) {
    barrier();
    for (uint x = lane; x < BQ * HEAD4; x += LOCAL) {
      uint row = sequence_row + min(i0 + x / HEAD4, positions - 1), to = x / HEAD4 * LINE + x % HEAD4;
      query_block[D_OUT + to] = d_out_words(row * (out_ld / 4) + head_word + x % HEAD4);
      query_block[SCALED_Q + to] = q_words((row * q_ld + q_column) / 4 + head_word + x % HEAD4) * (scale * kLog2E);
    }
    for (uint x = lane; x < BQ; x += LOCAL)
      stats_block[x] = stats[(sequence_row + min(i0 + x, positions - 1)) * stats_ld / 2 + at.head];
    barrier();

    float p[SQ * SK], d_s[SQ * SK];
    [[unroll]] for (uint x = 0; x < SQ * SK; ++x) p[x] = d_s[x] = 0;
    for (uint d0 = 0; d0 < HEAD4; d0 += STEP4) {
      [[unroll]] for (uint d = 0; d < STEP4; ++d) {
        vec4 q[SQ], d_out[SQ];
        [[unroll]] for (uint i = 0; i < SQ; ++i) {
          q[i] = query_block[SCALED_Q + (sy + SY * i) * LINE + d0 + d];
          d_out[i] = query_block[D_OUT + (sy + SY * i) * LINE + d0 + d];
        }
        [[unroll]] for (uint j = 0; j < SK; ++j) {
          vec4 k = k_block[(sx + SX * j) * LINE + d0 + d], v = v_block[(sx + SX * j) * LINE + d0 + d];
          [[unroll]] for (uint i = 0; i < SQ; ++i)
            [[unroll]] for (uint c = 0; c < 4; ++c) {
              p[i * SK + j] = fma(q[i][c], k[c], p[i * SK + j]);
              d_s[i * SK + j] = fma(d_out[i][c], v[c], d_s[i * SK + j]);
            }
        }
      }
    }
    [[unroll]] for (uint i = 0; i < SQ; ++i) {
      vec2 level_delta = stats_block[sy + SY * i];
      [[unroll]] for (uint j = 0; j < SK; ++j) {
        uint x = i * SK + j;
        p[x] = exp2(p[x] - level_delta.x);
        d_s[x] = p[x] * (d_s[x] - level_delta.y);
      }
    }
    if (i0 < first + BK || i0 + BQ > first + window || i0 + BQ > positions) {
      [[unroll]] for (uint i = 0; i < SQ; ++i)
        [[unroll]] for (uint j = 0; j < SK; ++j) {
          int back = int(i0 + sy + SY * i) - int(first + sx + SX * j);  // how far behind its query the key stands
          if (back < 0 || back >= int(window) || i0 + sy + SY * i >= positions) p[i * SK + j] = d_s[i * SK + j] = 0;
        }
    }
    [[unroll]] for (uint i = 0; i < SQ; ++i)
      [[unroll]] for (uint j = 0; j < SK; ++j) {
        uint key = sx + SX * j, to = (sy + SY * i) * SCORE_LINE + key / 4;
        weight_block[P + to][key % 4] = p[i * SK + j];
        weight_block[D_S + to][key % 4] = d_s[i * SK + j];
      }
    barrier();

    uint weights = side == 0 ? P : D_S, rows = side == 0 ? D_OUT : SCALED_Q;
    for (uint q0 = 0; q0 < BQ; q0 += 8) {
      [[unroll]] for (uint q = 0; q < 8; ++q) {
        vec4 w[OK4];
        [[unroll]] for (uint i = 0; i < OK4; ++i) w[i] = weight_block[weights + (q0 + q) * SCORE_LINE + oy + OY * i];
        [[unroll]] for (uint e = 0; e < OE; ++e) {
          vec4 row = query_block[rows + (q0 + q) * LINE + ox + OX * e];
          [[unroll]] for (uint i = 0; i < OK4; ++i)
            [[unroll]] for (uint c = 0; c < 4; ++c)
              acc[(i * 4 + c) * OE + e] = fma(vec4(w[i][c]), row, acc[(i * 4 + c) * OE + e]);
        }
      }
    }

    vec4 d_q[QQ * QE];
    [[unroll]] for (uint x = 0; x < QQ * QE; ++x) d_q[x] = vec4(0);
    for (uint k0 = 0; k0 < BK / 4; k0 += 2) {
      [[unroll]] for (uint k4 = 0; k4 < 2; ++k4) {
        vec4 w[QQ];
        [[unroll]] for (uint i = 0; i < QQ; ++i) w[i] = weight_block[D_S + (qy + QY * i) * SCORE_LINE + k0 + k4];
        [[unroll]] for (uint c = 0; c < 4; ++c)
          [[unroll]] for (uint e = 0; e < QE; ++e) {
            vec4 k = k_block[((k0 + k4) * 4 + c) * LINE + qx + QX * e];
            [[unroll]] for (uint i = 0; i < QQ; ++i) d_q[i * QE + e] = fma(vec4(w[i][c]), k, d_q[i * QE + e]);
          }
      }
    }
    [[unroll]] for (uint i = 0; i < QQ; ++i) {
      uint query = i0 + qy + QY * i;
      [[unroll]] for (uint e = 0; e < QE; ++e)
        if (query < positions && qx + QX * e < HEAD4)
          parts[(part_row + query - first) * heads * HEAD4 + head_word + qx + QX * e] = d_q[i * QE + e];
    }
  }

  [[unroll]] for (uint x = 0; x < OK4 * 4 * OE; ++x) {
    uint key = first + 4 * (oy + OY * (x / (4 * OE))) + x / OE % 4, d = ox + OX * (x % OE);
    if (key >= positions || d >= HEAD4) continue;
    uint row = sequence_row + key;
    if (side == 0) set_d_v((row * v_ld + v_column) / 4 + head_word + d, acc[x]);
    else set_d_k((row * k_ld + k_column) / 4 + head_word + d, acc[x] * kLn2);
  }
}
