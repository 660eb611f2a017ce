#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// d_v_j = sum_i p_ij d_out_i, d_k_j = scale sum_i p_ij (d_out_i v_j - delta_i) q_i over the queries i that see key j.
// Each lane keeps R key rows; queries come LANES rows at a time and are spread by shuffles, as in attention_texel.comp.
#include "grid.glsl"
#include "attention.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD4 = 4;  // head size / 4
layout(constant_id = 2) const uint R = 4;      // key rows a lane
layout(set = 0, binding = 0) uniform samplerBuffer q_rows;
layout(set = 0, binding = 1) uniform samplerBuffer k_rows;
layout(set = 0, binding = 2) uniform samplerBuffer v_rows;
layout(set = 0, binding = 3) uniform samplerBuffer d_out_rows;
layout(set = 0, binding = 4) uniform samplerBuffer stats_rows;  // (log_sum_exp / ln 2, delta) of two heads a texel
layout(set = 0, binding = 5) writeonly buffer DK { vec4 d_k[]; };
layout(set = 0, binding = 6) writeonly buffer DV { vec4 d_v[]; };
const uint LANES = gl_WorkGroupSize.x;

void main() {
  Place at;
  if (!place_of_group(at)) return;
  uint lane = gl_SubgroupInvocationID;
  uint first = at.block * LANES * R;  // early keys are seen by most queries: start them first
  uint sequence_row = first_row + at.sequence * positions;

  vec4 k[R * HEAD4], v[R * HEAD4], d_k_acc[R * HEAD4], d_v_acc[R * HEAD4];
  [[unroll]] for (uint r = 0; r < R; ++r) {
    uint row = sequence_row + min(first + lane + LANES * r, positions - 1);
    int k_from = int((row * k_ld + k_column) / 4 + at.head * HEAD4);
    int v_from = int((row * v_ld + v_column) / 4 + at.head * HEAD4);
    [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
      k[r * HEAD4 + d] = texelFetch(k_rows, k_from + int(d)) * (scale * kLog2E);
      v[r * HEAD4 + d] = texelFetch(v_rows, v_from + int(d));
      d_k_acc[r * HEAD4 + d] = vec4(0);
      d_v_acc[r * HEAD4 + d] = vec4(0);
    }
  }

  uint end = min(first + LANES * R - 1 + window, positions);
  for (uint i0 = first; i0 < end; i0 += LANES) {
    uint row = sequence_row + min(i0 + lane, positions - 1);
    int q_from = int((row * q_ld + q_column) / 4 + at.head * HEAD4), out_from = int(row * out_ld / 4 + at.head * HEAD4);
    vec4 q[HEAD4], d_out[HEAD4];
    [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
      q[d] = texelFetch(q_rows, q_from + int(d));
      d_out[d] = texelFetch(d_out_rows, out_from + int(d));
    }
    vec4 two_heads = texelFetch(stats_rows, int((row * stats_ld + 2 * at.head) / 4));
    vec2 stats = (at.head & 1) == 0 ? two_heads.xy : two_heads.zw;

    float p[R * LANES], d_s[R * LANES];
    [[unroll]] for (uint i = 0; i < LANES; ++i) {
      float s[R], d_p[R];
      float level = subgroupShuffle(stats.x, i), delta = subgroupShuffle(stats.y, i);
      [[unroll]] for (uint r = 0; r < R; ++r) {
        s[r] = -level;
        d_p[r] = -delta;
      }
      [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
        [[unroll]] for (uint c = 0; c < 4; ++c) {
          float qi = subgroupShuffle(q[d][c], i), d_out_i = subgroupShuffle(d_out[d][c], i);
          [[unroll]] for (uint r = 0; r < R; ++r) {
            s[r] += k[r * HEAD4 + d][c] * qi;
            d_p[r] += v[r * HEAD4 + d][c] * d_out_i;
          }
        }
      }
      [[unroll]] for (uint r = 0; r < R; ++r) {
        int back = int(i0 + i) - int(first + lane + LANES * r);
        bool seen = back >= 0 && back < int(window) && i0 + i < positions;
        float weight = seen ? exp2(s[r]) : 0;
        p[r * LANES + i] = weight;
        d_s[r * LANES + i] = weight * d_p[r];
      }
    }
    [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
      [[unroll]] for (uint c = 0; c < 4; ++c) {
        float qi[LANES];
        [[unroll]] for (uint i = 0; i < LANES; ++i) qi[i] = subgroupShuffle(q[d][c], i);
        [[unroll]] for (uint r = 0; r < R; ++r) {
          float a = d_k_acc[r * HEAD4 + d][c];
          [[unroll]] for (uint i = 0; i < LANES; ++i) a += d_s[r * LANES + i] * qi[i];
          d_k_acc[r * HEAD4 + d][c] = a;
        }
        [[unroll]] for (uint i = 0; i < LANES; ++i) qi[i] = subgroupShuffle(d_out[d][c], i);
        [[unroll]] for (uint r = 0; r < R; ++r) {
          float a = d_v_acc[r * HEAD4 + d][c];
          [[unroll]] for (uint i = 0; i < LANES; ++i) a += p[r * LANES + i] * qi[i];
          d_v_acc[r * HEAD4 + d][c] = a;
        }
      }
    }
  }

  [[unroll]] for (uint r = 0; r < R; ++r) {
    uint position = first + lane + LANES * r;
    if (position < positions) {
      uint row = sequence_row + position;
      uint k_to = (row * k_ld + k_column) / 4 + at.head * HEAD4, v_to = (row * v_ld + v_column) / 4 + at.head * HEAD4;
      [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
        d_k[k_to + d] = d_k_acc[r * HEAD4 + d] * scale;
        d_v[v_to + d] = d_v_acc[r * HEAD4 + d];
      }
    }
  }
}
