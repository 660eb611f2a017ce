#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// d_q = scale sum_j p_j (d_out v_j - delta) k_j with p_j = exp(scale q k_j - log_sum_exp), delta = sum(d_out * out).
// Rows, lanes and shuffles as in attention_texel.comp. Leaves (log_sum_exp / ln 2, delta) of every row and head in `stats`.
#include "grid.glsl"
#include "attention.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD4 = 4;  // head size / 4
layout(constant_id = 2) const uint R = 4;      // query rows a lane
layout(set = 0, binding = 0) uniform samplerBuffer q_rows;
layout(set = 0, binding = 1) uniform samplerBuffer k_rows;
layout(set = 0, binding = 2) uniform samplerBuffer v_rows;
layout(set = 0, binding = 3) uniform samplerBuffer out_rows;
layout(set = 0, binding = 4) uniform samplerBuffer d_out_rows;
layout(set = 0, binding = 5) readonly buffer LogSumExp { float log_sum_exp[]; };
layout(set = 0, binding = 6) writeonly buffer Stats { vec2 stats[]; };
layout(set = 0, binding = 7) writeonly buffer DQ { vec4 d_q[]; };
const uint LANES = gl_WorkGroupSize.x;

void main() {
  Place at;
  if (!place_of_group(at)) return;
  uint lane = gl_SubgroupInvocationID;
  uint first = (row_blocks - 1 - at.block) * LANES * R;
  uint sequence_row = first_row + at.sequence * positions;

  vec4 q[R * HEAD4], d_out[R * HEAD4], acc[R * HEAD4];
  float level[R], delta[R];  // log_sum_exp / ln 2
  [[unroll]] for (uint r = 0; r < R; ++r) {
    uint row = sequence_row + min(first + lane + LANES * r, positions - 1);
    int from = int((row * q_ld + q_column) / 4 + at.head * HEAD4), out_from = int(row * out_ld / 4 + at.head * HEAD4);
    delta[r] = 0;
    [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
      q[r * HEAD4 + d] = texelFetch(q_rows, from + int(d)) * (scale * kLog2E);
      d_out[r * HEAD4 + d] = texelFetch(d_out_rows, out_from + int(d));
      delta[r] += dot(d_out[r * HEAD4 + d], texelFetch(out_rows, out_from + int(d)));
      acc[r * HEAD4 + d] = vec4(0);
    }
    level[r] = log_sum_exp[row * log_sum_exp_ld + at.head] * kLog2E;
  }

  uint end = min(first + LANES * R, positions);
  for (uint j0 = uint(max(int(first) + 1 - int(window), 0)); j0 < end; j0 += LANES) {
    uint row = sequence_row + min(j0 + lane, positions - 1);
    int k_from = int((row * k_ld + k_column) / 4 + at.head * HEAD4);
    int v_from = int((row * v_ld + v_column) / 4 + at.head * HEAD4);
    vec4 k[HEAD4], v[HEAD4];
    [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
      k[d] = texelFetch(k_rows, k_from + int(d));
      v[d] = texelFetch(v_rows, v_from + int(d));
    }

    float d_s[R * LANES];
    [[unroll]] for (uint j = 0; j < LANES; ++j) {
      float s[R], d_p[R];
      [[unroll]] for (uint r = 0; r < R; ++r) {
        s[r] = -level[r];
        d_p[r] = -delta[r];
      }
      [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
        [[unroll]] for (uint c = 0; c < 4; ++c) {
          float kj = subgroupShuffle(k[d][c], j), vj = subgroupShuffle(v[d][c], j);
          [[unroll]] for (uint r = 0; r < R; ++r) {
            s[r] += q[r * HEAD4 + d][c] * kj;
            d_p[r] += d_out[r * HEAD4 + d][c] * vj;
          }
        }
      }
      [[unroll]] for (uint r = 0; r < R; ++r) {
        int back = int(first + lane + LANES * r) - int(j0 + j);
        d_s[r * LANES + j] = back >= 0 && back < int(window) ? exp2(s[r]) * d_p[r] : 0;
      }
    }
    [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
      [[unroll]] for (uint c = 0; c < 4; ++c) {
        float kj[LANES];
        [[unroll]] for (uint j = 0; j < LANES; ++j) kj[j] = subgroupShuffle(k[d][c], j);
        [[unroll]] for (uint r = 0; r < R; ++r) {
          float a = acc[r * HEAD4 + d][c];
          [[unroll]] for (uint j = 0; j < LANES; ++j) a += d_s[r * LANES + j] * kj[j];
          acc[r * HEAD4 + d][c] = a;
        }
      }
    }
  }

  [[unroll]] for (uint r = 0; r < R; ++r) {
    uint position = first + lane + LANES * r;
    if (position < positions) {
      uint row = sequence_row + position, to = (row * q_ld + q_column) / 4 + at.head * HEAD4;
      [[unroll]] for (uint d = 0; d < HEAD4; ++d) d_q[to + d] = acc[r * HEAD4 + d] * scale;
      stats[row * stats_ld / 2 + at.head] = vec2(level[r], delta[r]);
    }
  }
}
