#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// out = softmax(q k^T scale, causal, window) v. One workgroup is one subgroup: each lane keeps R query rows in registers. Keys and
// values come LANES rows at a time, one a lane by texel fetch, and are spread by shuffles with constant lane numbers: on software
// drivers storage and shared memory are read lane by lane, texels in 128 bits.
#include "grid.glsl"
#include "attention.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD4 = 4;  // head size / 4
layout(constant_id = 2) const uint R = 4;      // query rows a lane
layout(set = 0, binding = 0) uniform samplerBuffer q_rows;
layout(set = 0, binding = 1) uniform samplerBuffer k_rows;
layout(set = 0, binding = 2) uniform samplerBuffer v_rows;
layout(set = 0, binding = 3) writeonly buffer Out { vec4 attended[]; };
layout(set = 0, binding = 4) writeonly buffer LogSumExp { float log_sum_exp[]; };
const uint LANES = gl_WorkGroupSize.x;

void main() {
  Place at;
  if (!place_of_group(at)) return;
  uint lane = gl_SubgroupInvocationID;
  uint first = (row_blocks - 1 - at.block) * LANES * R;  // late rows see most keys: start them first
  uint sequence_row = first_row + at.sequence * positions;

  vec4 q[R * HEAD4], acc[R * HEAD4];
  float maximum[R], sum[R];
  [[unroll]] for (uint r = 0; r < R; ++r) {
    uint row = sequence_row + min(first + lane + LANES * r, positions - 1);
    int from = int((row * q_ld + q_column) / 4 + at.head * HEAD4);
    [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
      q[r * HEAD4 + d] = texelFetch(q_rows, from + int(d)) * (scale * kLog2E);
      acc[r * HEAD4 + d] = vec4(0);
    }
    maximum[r] = kNoMaximum;
    sum[r] = 0;
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

    float p[R * LANES], top[R], shrink[R];
    [[unroll]] for (uint r = 0; r < R; ++r) top[r] = maximum[r];
    [[unroll]] for (uint j = 0; j < LANES; ++j) {
      float s[R];
      [[unroll]] for (uint r = 0; r < R; ++r) s[r] = 0;
      [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
        [[unroll]] for (uint c = 0; c < 4; ++c) {
          float kj = subgroupShuffle(k[d][c], j);
          [[unroll]] for (uint r = 0; r < R; ++r) s[r] += q[r * HEAD4 + d][c] * kj;
        }
      }
      [[unroll]] for (uint r = 0; r < R; ++r) {
        int back = int(first + lane + LANES * r) - int(j0 + j);  // how far behind its query the key stands
        p[r * LANES + j] = back >= 0 && back < int(window) ? s[r] : kMasked;
        top[r] = max(top[r], p[r * LANES + j]);
      }
    }
    [[unroll]] for (uint r = 0; r < R; ++r) {
      shrink[r] = exp2(maximum[r] - top[r]);
      maximum[r] = top[r];
      sum[r] *= shrink[r];
    }
    [[unroll]] for (uint j = 0; j < LANES; ++j) {
      [[unroll]] for (uint r = 0; r < R; ++r) {
        p[r * LANES + j] = weight(p[r * LANES + j] - top[r]);
        sum[r] += p[r * LANES + j];
      }
    }
    [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
      [[unroll]] for (uint c = 0; c < 4; ++c) {
        float vj[LANES];
        [[unroll]] for (uint j = 0; j < LANES; ++j) vj[j] = subgroupShuffle(v[d][c], j);
        [[unroll]] for (uint r = 0; r < R; ++r) {
          float a = acc[r * HEAD4 + d][c] * shrink[r];
          [[unroll]] for (uint j = 0; j < LANES; ++j) a += p[r * LANES + j] * vj[j];
          acc[r * HEAD4 + d][c] = a;
        }
      }
    }
  }

  [[unroll]] for (uint r = 0; r < R; ++r) {
    uint position = first + lane + LANES * r;
    if (position < positions) {
      uint row = sequence_row + position;
      float inverse = 1 / sum[r];
      [[unroll]] for (uint d = 0; d < HEAD4; ++d) {
        attended[row * out_ld / 4 + at.head * HEAD4 + d] = acc[r * HEAD4 + d] * inverse;
      }
      log_sum_exp[row * log_sum_exp_ld + at.head] = (maximum[r] + log2(sum[r])) * kLn2;
      // The padding. No loop that cannot be unrolled: it would keep the one around it, and so every array, from being resolved.
      [[unroll]] for (uint x = 0; x < 3; ++x) {
        if (at.head == heads - 1 && heads + x < log_sum_exp_ld) log_sum_exp[row * log_sum_exp_ld + heads + x] = 0;
      }
    }
  }
}
