#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// y[M,N] = op(a) op(b) and the epilogue of matmul_output.glsl, for drivers that run on the CPU: one subgroup a workgroup computes BM rows of
// 4 * subgroup_size columns. Each invocation owns 4 columns; the words of a are fetched once a subgroup and spread by shuffles with
// constant lanes. Texel fetches and shuffles are vector instructions there, storage buffers and shared memory are loops over lanes.
//   nn  a [M,K], b [K,N]     nt  a [M,K], b [N,K]     tn  a [K,M], b [K,N]
//! variant matmul_shuffle_nn A_ALONG_K=1 B_ALONG_K=0
//! variant matmul_shuffle_nt A_ALONG_K=1 B_ALONG_K=1
//! variant matmul_shuffle_tn A_ALONG_K=0 B_ALONG_K=0
#define GATED_ID 2
#define EPILOGUE_TEXELS
#include "matmul_output.glsl"
layout(constant_id = 1) const uint kLanes = 8;  // the subgroup size; a divisor of 32
layout(local_size_x_id = 1) in;
#include "grid.glsl"
#define BM 32
#define BN (4 * kLanes)
#include "matmul_tiles.glsl"
layout(set = 0, binding = 6) uniform samplerBuffer a;
layout(set = 0, binding = 7) uniform samplerBuffer b;

#define BK 8                   // steps of K a round
#define A_WORDS (BM * BK / 4)  // vec4s of a a round, dealt out over the lanes
#define A_FETCHES (A_WORDS / kLanes)
#if A_ALONG_K
#define A_WORD(i, kk) ((kk) / 4 * BM + (i))  // which of them holds row i, step kk ...
#define A_PART(i, kk) ((kk) % 4)             // ... and where in it
#else
#define A_WORD(i, kk) ((kk) * (BM / 4) + (i) / 4)
#define A_PART(i, kk) ((i) % 4)
#endif

void main() {
  Tile tile;
  if (gate_closed() || !find_tile(tile)) return;
  uint lane = gl_SubgroupInvocationID;
  uint k_begin = tile.split * split_depth, k_end = min(k_begin + split_depth, depth);
  uint col4 = tile.col / 4 + lane;

  // Rows and columns beyond the matrices are clamped into them: what they give is never stored.
  uint a_at[A_FETCHES], a_k[A_FETCHES];  // where word lane + i * kLanes lies for k = 0, and its step of K
  [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) {
    uint word = lane + i * kLanes;
#if A_ALONG_K
    a_at[i] = min(tile.row + word % BM, rows - 1) * a_stride + a_column;
    a_k[i] = word / BM * 4;
#else
    a_at[i] = a_column + min(tile.row / 4 + word % (BM / 4), (rows - 1) / 4);
    a_k[i] = word / (BM / 4);
#endif
  }
#if B_ALONG_K
  uint b_at[4];
  [[unroll]] for (uint j = 0; j < 4; ++j) b_at[j] = min(col4 * 4 + j, cols - 1) * b_stride;
#else
  uint b_at = min(col4, (cols - 1) / 4);
#endif

  vec4 sum[BM];
  [[unroll]] for (uint i = 0; i < BM; ++i) sum[i] = vec4(0);
  for (uint k = k_begin; k < k_end; k += BK) {
    // Steps beyond the end of K: a is taken as zero there, b is clamped.
    vec4 av[A_FETCHES];
    [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) {
      uint step = min(k + a_k[i], k_end - 1);
#if A_ALONG_K
      vec4 word = texelFetch(a, int(a_at[i] + step / 4));
#else
      vec4 word = texelFetch(a, int(a_at[i] + step * a_stride));
#endif
      av[i] = k + a_k[i] < k_end ? word : vec4(0);
    }
    vec4 bv[BK];  // [step of K], 4 columns
#if B_ALONG_K
    [[unroll]] for (uint u = 0; u < BK / 4; ++u) {
      uint step4 = min(k + 4 * u, k_end - 1) / 4;
      vec4 c0 = texelFetch(b, int(b_at[0] + step4)), c1 = texelFetch(b, int(b_at[1] + step4));
      vec4 c2 = texelFetch(b, int(b_at[2] + step4)), c3 = texelFetch(b, int(b_at[3] + step4));
      [[unroll]] for (uint q = 0; q < 4; ++q) bv[4 * u + q] = vec4(c0[q], c1[q], c2[q], c3[q]);
    }
#else
    [[unroll]] for (uint kk = 0; kk < BK; ++kk) bv[kk] = texelFetch(b, int(b_at + min(k + kk, k_end - 1) * b_stride));
#endif
    [[unroll]] for (uint i = 0; i < BM; ++i) {
      vec4 row_sum = sum[i];
      [[unroll]] for (uint kk = 0; kk < BK; ++kk) {
        float x = subgroupShuffle(av[A_WORD(i, kk) / kLanes][A_PART(i, kk)], A_WORD(i, kk) % kLanes);
        row_sum += x * bv[kk];
      }
      sum[i] = row_sum;
    }
  }
  vec4 bias_words = load_bias(col4);
  [[unroll]] for (uint i = 0; i < BM; ++i) store_y(tile.split, tile.row + i, col4, sum[i] + bias_words);
}
