#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// y[M,N] = op(a) op(b) and the epilogue of matmul_output.glsl, of fp16 or bf16 a and b on cooperative matrices with fp32 sums: a workgroup
// computes a BM x BN tile, a subgroup WM x WN of it, from shared memory that holds BK steps of K as they lie in the buffers. The next
// step's words are fetched into registers while this one is multiplied.
//   nn  a [M,K], b [K,N]     nt  a [M,K], b [N,K]     tn  a [K,M], b [K,N]
//! variant matmul_coop_khr_nn COOPMAT=1 A_ALONG_K=1 B_ALONG_K=0 REQUIRES:GL_KHR_cooperative_matrix
//! variant matmul_coop_khr_nt COOPMAT=1 A_ALONG_K=1 B_ALONG_K=1 REQUIRES:GL_KHR_cooperative_matrix
//! variant matmul_coop_khr_tn COOPMAT=1 A_ALONG_K=0 B_ALONG_K=0 REQUIRES:GL_KHR_cooperative_matrix
//! variant matmul_coop_khr_wide_nn COOPMAT=1 WIDE=1 A_ALONG_K=1 B_ALONG_K=0 REQUIRES:GL_KHR_cooperative_matrix
//! variant matmul_coop_khr_wide_nt COOPMAT=1 WIDE=1 A_ALONG_K=1 B_ALONG_K=1 REQUIRES:GL_KHR_cooperative_matrix
//! variant matmul_coop_khr_wide_tn COOPMAT=1 WIDE=1 A_ALONG_K=0 B_ALONG_K=0 REQUIRES:GL_KHR_cooperative_matrix
//! variant matmul_coop_khr_bf16_nn COOPMAT=1 COOP_BF16=1 A_ALONG_K=1 B_ALONG_K=0 REQUIRES:GL_NV_cooperative_matrix REWRITTEN:kKhrBf16
//! variant matmul_coop_khr_bf16_nt COOPMAT=1 COOP_BF16=1 A_ALONG_K=1 B_ALONG_K=1 REQUIRES:GL_NV_cooperative_matrix REWRITTEN:kKhrBf16
//! variant matmul_coop_khr_bf16_tn COOPMAT=1 COOP_BF16=1 A_ALONG_K=0 B_ALONG_K=0 REQUIRES:GL_NV_cooperative_matrix REWRITTEN:kKhrBf16
//! variant matmul_coop_khr_wide_bf16_nn COOPMAT=1 WIDE=1 COOP_BF16=1 A_ALONG_K=1 B_ALONG_K=0 REQUIRES:GL_NV_cooperative_matrix REWRITTEN:kKhrBf16
//! variant matmul_coop_khr_wide_bf16_nt COOPMAT=1 WIDE=1 COOP_BF16=1 A_ALONG_K=1 B_ALONG_K=1 REQUIRES:GL_NV_cooperative_matrix REWRITTEN:kKhrBf16
//! variant matmul_coop_khr_wide_bf16_tn COOPMAT=1 WIDE=1 COOP_BF16=1 A_ALONG_K=0 B_ALONG_K=0 REQUIRES:GL_NV_cooperative_matrix REWRITTEN:kKhrBf16
//! variant matmul_coop_nv_nn COOPMAT=2 A_ALONG_K=1 B_ALONG_K=0 REQUIRES:GL_NV_cooperative_matrix
//! variant matmul_coop_nv_nt COOPMAT=2 A_ALONG_K=1 B_ALONG_K=1 REQUIRES:GL_NV_cooperative_matrix
//! variant matmul_coop_nv_tn COOPMAT=2 A_ALONG_K=0 B_ALONG_K=0 REQUIRES:GL_NV_cooperative_matrix
//! variant matmul_coop_emulated_nn COOPMAT=0 A_ALONG_K=1 B_ALONG_K=0
//! variant matmul_coop_emulated_nt COOPMAT=0 A_ALONG_K=1 B_ALONG_K=1
//! variant matmul_coop_emulated_tn COOPMAT=0 A_ALONG_K=0 B_ALONG_K=0
#include "coopmat.glsl"
#if COOPMAT == 0  // within what every device has
#define BM 32
#define BN 64
#define BK 32
#define WM 32
#define WN 32
#else
// At most 20 KiB shared and half of a core's registers: two workgroups have to share a core, so that one multiplies while the other
// waits (an NVIDIA driver gives workgroups of more than 24 KiB a core each: 180 instead of 290 TFLOP/s at 4096^3 on an H200).
#define BM 128
#define BN 128
#define BK 32
#define WM 64
#ifdef WIDE
#define WN 64  // 128 invocations of 239 registers: fewer words from shared memory for each product, where K is long enough to show it
#else
#define WN 32  // 256 of 122
#endif
#endif
#define WARPS (BM / WM * (BN / WN))
#define THREADS (WARPS * 32)
layout(local_size_x = THREADS) in;
#include "grid.glsl"
#define GATED_ID 0
#include "matmul_output.glsl"
#include "matmul_tiles.glsl"
layout(constant_id = 16 + 6) const uint kType6 = kFp16;
layout(constant_id = 16 + 7) const uint kType7 = kFp16;
#if COOPMAT == 0
#define COOP_TYPE TYPE_OF(6)
#endif
layout(set = 0, binding = 6) readonly buffer A { uvec4 a[]; };  // 8 values a word
layout(set = 0, binding = 7) readonly buffer B { uvec4 b[]; };

// Shared tiles in uvec4s: rows as they lie in the buffer. The odd line keeps the 8 rows that a fragment load reads at once on
// different banks. (To turn an operand that is not stored along K on its way in, which spares the fragments' turning, was slower.)
#define A_WIDTH (A_ALONG_K != 0 ? BK / 8 : BM / 8)
#define B_WIDTH (B_ALONG_K != 0 ? BK / 8 : BN / 8)
#define A_LINE (A_WIDTH + 1)
#define B_LINE (B_WIDTH + 1)
#define A_TILE ((A_ALONG_K != 0 ? BM : BK) * A_LINE)
#define B_TILE ((B_ALONG_K != 0 ? BN : BK) * B_LINE)
// At the end a subgroup's sums pass through here, 16 rows at a time, to become vec4s of y.
#define SUM_LINE (WN / 4 + 1)
#define SUM_TILE (16 * SUM_LINE)
#define SHARED_WORDS (A_TILE + B_TILE > WARPS * SUM_TILE ? A_TILE + B_TILE : WARPS * SUM_TILE)
shared uvec4 tiles[SHARED_WORDS];

#define A_FETCHES (BM * BK / 8 / THREADS)
#define B_FETCHES (BN * BK / 8 / THREADS)
// How the uvec4s of a tile are dealt out: fetch i of this invocation is number gl_LocalInvocationID.x + i * THREADS. Of rows of 4 words
// those that are stored at the same time, two, lie 4 apart: the lines of neighbours would share banks
// (7 % slower with both operands along K).
uint fetch_row(uint i, uint width) {
  uint row = (gl_LocalInvocationID.x + i * THREADS) / width;
  return width == 4 ? row / 8 * 8 + row % 2 * 4 + row / 2 % 4 : row;
}
uint fetch_col(uint i, uint width) { return (gl_LocalInvocationID.x + i * THREADS) % width; }

uint a_from[A_FETCHES], b_from[B_FETCHES];  // where fetch i lies, but for K
uint a_k, b_k;                              // what the next step adds
uvec4 a_next[A_FETCHES], b_next[B_FETCHES];
uint k_end;

// Strides count 4 values, here 8 are a word. Rows and columns beyond the matrices are clamped into them: what they give is never
// stored.
void find_fetches(Tile tile, uint k_begin) {
  [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) {
    uint row = fetch_row(i, A_WIDTH), col = fetch_col(i, A_WIDTH);
#if A_ALONG_K
    a_from[i] = min(tile.row + row, rows - 1) * (a_stride / 2) + a_column / 2 + col;
#else
    a_from[i] = row * (a_stride / 2) + a_column / 2 + min(tile.row / 8 + col, (rows - 1) / 8);
#endif
  }
  [[unroll]] for (uint i = 0; i < B_FETCHES; ++i) {
    uint row = fetch_row(i, B_WIDTH), col = fetch_col(i, B_WIDTH);
#if B_ALONG_K
    b_from[i] = min(tile.col + row, cols - 1) * (b_stride / 2) + col;
#else
    b_from[i] = row * (b_stride / 2) + min(tile.col / 8 + col, (cols - 1) / 8);
#endif
  }
  a_k = A_ALONG_K != 0 ? k_begin / 8 : k_begin * (a_stride / 2);
  b_k = B_ALONG_K != 0 ? k_begin / 8 : k_begin * (b_stride / 2);
}

// The next whole step. Nothing is conditional here: a condition on these loads, even one that always holds, costs 15 % on NVIDIA.
void fetch_step() {
  [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) a_next[i] = a[a_from[i] + a_k];
  [[unroll]] for (uint i = 0; i < B_FETCHES; ++i) b_next[i] = b[b_from[i] + b_k];
  a_k += A_ALONG_K != 0 ? BK / 8 : BK * (a_stride / 2);
  b_k += B_ALONG_K != 0 ? BK / 8 : BK * (b_stride / 2);
}

// What is left of K behind `whole` steps' worth, from k on: zeros beyond the end. Along K the last word may reach over it: its padding
// is zero.
void fetch_rest(uint k, uint whole) {
  uint a_rest = a_k + (A_ALONG_K != 0 ? whole / 8 : whole * (a_stride / 2));
  uint b_rest = b_k + (B_ALONG_K != 0 ? whole / 8 : whole * (b_stride / 2));
  [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) {
    a_next[i] = uvec4(0);
    if (k + (A_ALONG_K != 0 ? 8 * fetch_col(i, A_WIDTH) : fetch_row(i, A_WIDTH)) < k_end) a_next[i] = a[a_from[i] + a_rest];
  }
  [[unroll]] for (uint i = 0; i < B_FETCHES; ++i) {
    b_next[i] = uvec4(0);
    if (k + (B_ALONG_K != 0 ? 8 * fetch_col(i, B_WIDTH) : fetch_row(i, B_WIDTH)) < k_end) b_next[i] = b[b_from[i] + b_rest];
  }
}

void share() {
  [[unroll]] for (uint i = 0; i < A_FETCHES; ++i)
    tiles[fetch_row(i, A_WIDTH) * A_LINE + fetch_col(i, A_WIDTH)] = a_next[i];
  [[unroll]] for (uint i = 0; i < B_FETCHES; ++i)
    tiles[A_TILE + fetch_row(i, B_WIDTH) * B_LINE + fetch_col(i, B_WIDTH)] = b_next[i];
}

void main() {
  Tile tile;
  if (TYPE_OF(6) != COOP_TYPE || TYPE_OF(7) != COOP_TYPE) return;  // never asked for
  if (gate_closed() || !find_tile(tile)) return;
  uint k_begin = tile.split * split_depth;
  k_end = min(k_begin + split_depth, depth);
  find_fetches(tile, k_begin);

  uint warp_row = COOP_WARP / (BN / WN) * WM, warp_col = COOP_WARP % (BN / WN) * WN;
  COOP_SUM sums[WM / 16][WN / 16];
  [[unroll]] for (uint i = 0; i < WM / 16; ++i) [[unroll]] for (uint j = 0; j < WN / 16; ++j) COOP_ZERO(sums[i][j]);

  // A step that is not whole comes first, so that the loop fetches whole ones only.
  uint steps = (k_end - k_begin + BK - 1) / BK, whole = (k_end - k_begin) / BK * BK;
  if (k_begin + whole < k_end) fetch_rest(k_begin + whole, whole);
  else fetch_step();
  // Left in the middle, so that words are fetched wherever the loop goes on: NVIDIA's compiler copies what a loop carries on some ways
  // only, and waits for it where it does (257 instead of 301 TFLOP/s at 4096^3). Every piece of K has a step: launch_matmul sees to it.
  for (uint step = 1;; ++step) {
    share();
    barrier();
    if (step < steps) fetch_step();
    [[unroll]] for (uint k = 0; k < BK; k += 16) {
      COOP_A left[WM / 16];
      COOP_B right[WN / 16];
      [[unroll]] for (uint i = 0; i < WM / 16; ++i) {
        uint row = warp_row + i * 16;
#if A_ALONG_K
        COOP_LOAD_A(left[i], tiles, row * A_LINE + k / 8, A_LINE, 0);
#else
        COOP_LOAD_A(left[i], tiles, k * A_LINE + row / 8, A_LINE, 1);
#endif
      }
      [[unroll]] for (uint j = 0; j < WN / 16; ++j) {
        uint col = warp_col + j * 16;
#if B_ALONG_K
        COOP_LOAD_B(right[j], tiles, A_TILE + col * B_LINE + k / 8, B_LINE, 1);
#else
        COOP_LOAD_B(right[j], tiles, A_TILE + k * B_LINE + col / 8, B_LINE, 0);
#endif
      }
      [[unroll]] for (uint i = 0; i < WM / 16; ++i)
        [[unroll]] for (uint j = 0; j < WN / 16; ++j) COOP_MULTIPLY_ADD(left[i], right[j], sums[i][j]);
    }
    if (step >= steps) break;
    barrier();  // nobody reads this step any more
  }

  barrier();  // nobody reads the tiles any more
  uint sum_tile = COOP_WARP * SUM_TILE, lane_col = COOP_LANE % (WN / 4), lane_row = COOP_LANE / (WN / 4);
  uint col4 = (tile.col + warp_col) / 4 + lane_col;
  vec4 bias_words = load_bias(col4);
  [[unroll]] for (uint i = 0; i < WM / 16; ++i) {
    [[unroll]] for (uint j = 0; j < WN / 16; ++j) COOP_STORE(sums[i][j], tiles, sum_tile + j * 4, SUM_LINE);
    COOP_SYNC;
    [[unroll]] for (uint q = 0; q < WN / 8; ++q) {
      uint row = lane_row + q * (128 / WN);
      vec4 sum = uintBitsToFloat(tiles[sum_tile + row * SUM_LINE + lane_col]);
      store_y(tile.split, tile.row + warp_row + i * 16 + row, col4, sum + bias_words);
    }
    COOP_SYNC;
  }
}
