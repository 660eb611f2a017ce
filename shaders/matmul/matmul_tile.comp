#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// y[M,N] = op(a) op(b) and the epilogue of matmul_output.glsl: a workgroup computes a tile of y, an invocation TM x TN of it, from
// shared memory that holds steps of BK along K. The next step's words are fetched into registers while this one is multiplied.
//   nn  a [M,K], b [K,N]     nt  a [M,K], b [N,K]     tn  a [K,M], b [K,N]
//! variant matmul_tile64_nn A_ALONG_K=1 B_ALONG_K=0 TILE=64
//! variant matmul_tile64_nt A_ALONG_K=1 B_ALONG_K=1 TILE=64
//! variant matmul_tile64_tn A_ALONG_K=0 B_ALONG_K=0 TILE=64
//! variant matmul_lean64_nn A_ALONG_K=1 B_ALONG_K=0 TILE=64 LEAN=1
//! variant matmul_lean64_nt A_ALONG_K=1 B_ALONG_K=1 TILE=64 LEAN=1
//! variant matmul_lean64_tn A_ALONG_K=0 B_ALONG_K=0 TILE=64 LEAN=1
//! variant matmul_tile128_nn A_ALONG_K=1 B_ALONG_K=0 TILE=128
//! variant matmul_tile128_nt A_ALONG_K=1 B_ALONG_K=1 TILE=128
//! variant matmul_tile128_tn A_ALONG_K=0 B_ALONG_K=0 TILE=128
//! variant matmul_tile256_nn A_ALONG_K=1 B_ALONG_K=0 TILE=256
//! variant matmul_tile256_tn A_ALONG_K=0 B_ALONG_K=0 TILE=256
// More sums an invocation are fewer reads for each, but more registers; these shapes were the fastest of each size.
#if TILE == 64  // 64 invocations, LEAN 128, 8.5 KiB shared: within what every device has
#define BM 64
#define BN 64
#define TM 8
#ifdef LEAN  // half the sums, nothing read ahead: for GPUs whose compilers have few registers to give
#define TN 4
#define READ_AHEAD 0
#define BK 8
#define STAGES 2
#else
#define TN 8
#endif
#elif TILE == 128 && A_ALONG_K == 1 && B_ALONG_K == 0  // 256 invocations, 16.5 KiB shared
#define BM 128
#define BN 128
#define TM 8
#define TN 8
#elif TILE == 128  // 128 invocations, 16.5 KiB shared
#define BM 128
#define BN 128
#define TM 16
#define TN 8
#define ACROSS 4
#else  // 256 invocations, 25 KiB shared
#define BM 128
#define BN 256
#define TM 8
#define TN 16
#define READ_AHEAD 0
#if A_ALONG_K
#define BK 16
#define STAGES 1
#else
#define BK 8
#define STAGES 2
#endif
#endif
#ifndef ACROSS
#define ACROSS 8  // 32 invocations lie ACROSS by 32 / ACROSS in the tile, so that they share what they read
#endif
#ifndef READ_AHEAD
#define READ_AHEAD 1  // reads what is multiplied next while the products before it are under way
#define BK 8
#define STAGES 2  // shared tiles of each operand; of two, one is filled while the other is read
#endif
#define THREADS (BM / TM * (BN / TN))
layout(local_size_x = THREADS) in;
#include "grid.glsl"
#define GATED_ID 0
#include "matmul_output.glsl"
#include "matmul_tiles.glsl"
DECLARE_VALUES(6, readonly, A, a)
DECLARE_VALUES(7, readonly, B, b)
// Words as they lie in memory are held over a step and turned into numbers on their way into shared memory: turned at once, they would
// be waited for at once.
#define RAW(b, name, i) (TYPE_OF(b) == kFp32 ? floatBitsToUint(name##_fp32[i]) : uvec4(name##_packed[i], 0, 0))
vec4 number(uvec4 raw, uint type) { return type == kFp32 ? uintBitsToFloat(raw) : unpack_values(raw.xy, type); }

// Shared tiles lie [BK][BM] and [BK][BN]. An operand stored along K is transposed on the way in; the odd stride then keeps the
// invocations of a subgroup on different banks.
#define A_LINE (BM / 4 + A_ALONG_K)
#define B_LINE (BN / 4 + B_ALONG_K)
shared vec4 a_tile[STAGES][BK * A_LINE];
shared vec4 b_tile[STAGES][BK * B_LINE];

#define A_FETCHES (BM * BK / 4 / THREADS)
#define B_FETCHES (BN * BK / 4 / THREADS)
// How the vec4s of a tile are dealt out: fetch i of this invocation is number gl_LocalInvocationID.x + i * THREADS.
#define A_WIDTH (A_ALONG_K != 0 ? BK / 4 : BM / 4)
#define B_WIDTH (B_ALONG_K != 0 ? BK / 4 : BN / 4)
uint fetch_row(uint i, uint width) { return (gl_LocalInvocationID.x + i * THREADS) / width; }
uint fetch_col(uint i, uint width) { return (gl_LocalInvocationID.x + i * THREADS) % width; }

uint a_at[A_FETCHES], b_at[B_FETCHES];  // where fetch i of the next step lies
uvec4 a_next[A_FETCHES], b_next[B_FETCHES];
uint k_end;

// Rows and columns beyond the matrices are clamped into them: what they give is never stored.
void find_fetches(Tile tile, uint k_begin) {
  [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) {
    uint row = fetch_row(i, A_WIDTH), col = fetch_col(i, A_WIDTH);
#if A_ALONG_K
    a_at[i] = min(tile.row + row, rows - 1) * a_stride + a_column + col + k_begin / 4;
#else
    a_at[i] = (row + k_begin) * a_stride + a_column + min(tile.row / 4 + col, (rows - 1) / 4);
#endif
  }
  [[unroll]] for (uint i = 0; i < B_FETCHES; ++i) {
    uint row = fetch_row(i, B_WIDTH), col = fetch_col(i, B_WIDTH);
#if B_ALONG_K
    b_at[i] = min(tile.col + row, cols - 1) * b_stride + col + k_begin / 4;
#else
    b_at[i] = (row + k_begin) * b_stride + min(tile.col / 4 + col, (cols - 1) / 4);
#endif
  }
}

// Is step k's vec4 before the end of K? Along K the last vec4 may reach over it: its padding is zero.
#define A_INSIDE(i, k) ((k) + (A_ALONG_K != 0 ? 4 * fetch_col(i, A_WIDTH) : fetch_row(i, A_WIDTH)) < k_end)
#define B_INSIDE(i, k) ((k) + (B_ALONG_K != 0 ? 4 * fetch_col(i, B_WIDTH) : fetch_row(i, B_WIDTH)) < k_end)

// The next whole step. Nothing is conditional here: a condition on these loads, even one that always holds, costs 15 % on NVIDIA.
void fetch_step() {
  [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) {
    a_next[i] = RAW(6, a, a_at[i]);
    a_at[i] += A_ALONG_K != 0 ? BK / 4 : BK * a_stride;
  }
  [[unroll]] for (uint i = 0; i < B_FETCHES; ++i) {
    b_next[i] = RAW(7, b, b_at[i]);
    b_at[i] += B_ALONG_K != 0 ? BK / 4 : BK * b_stride;
  }
}

// What is left of K behind `whole` steps' worth, from k on: zeros beyond the end.
void fetch_rest(uint k, uint whole) {
  uint a_from = A_ALONG_K != 0 ? whole / 4 : whole * a_stride, b_from = B_ALONG_K != 0 ? whole / 4 : whole * b_stride;
  [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) {
    a_next[i] = uvec4(0);
    if (A_INSIDE(i, k)) a_next[i] = RAW(6, a, a_at[i] + a_from);
  }
  [[unroll]] for (uint i = 0; i < B_FETCHES; ++i) {
    b_next[i] = uvec4(0);
    if (B_INSIDE(i, k)) b_next[i] = RAW(7, b, b_at[i] + b_from);
  }
}

void share(uint stage) {
  [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) {
    uint row = fetch_row(i, A_WIDTH), col = fetch_col(i, A_WIDTH);
    vec4 v = number(a_next[i], TYPE_OF(6));
#if A_ALONG_K
    [[unroll]] for (uint q = 0; q < 4; ++q) a_tile[stage][(col * 4 + q) * A_LINE + row / 4][row % 4] = v[q];
#else
    a_tile[stage][row * A_LINE + col] = v;
#endif
  }
  [[unroll]] for (uint i = 0; i < B_FETCHES; ++i) {
    uint row = fetch_row(i, B_WIDTH), col = fetch_col(i, B_WIDTH);
    vec4 v = number(b_next[i], TYPE_OF(7));
#if B_ALONG_K
    [[unroll]] for (uint q = 0; q < 4; ++q) b_tile[stage][(col * 4 + q) * B_LINE + row / 4][row % 4] = v[q];
#else
    b_tile[stage][row * B_LINE + col] = v;
#endif
  }
}

// An invocation's rows and columns come in runs of 4: run i starts at vec4 ty + i * BM / TM | tx + j * BN / TN of the tile.
uint tx, ty;
vec4 sum[TM][TN / 4];
void place() {
  uint lane = gl_LocalInvocationID.x % 32, block = gl_LocalInvocationID.x / 32;
  tx = block % (BN / TN / ACROSS) * ACROSS + lane % ACROSS;
  ty = block / (BN / TN / ACROSS) * (32 / ACROSS) + lane / ACROSS;
}
void read_step(uint stage, uint kk, out vec4 av[TM / 4], out vec4 bv[TN / 4]) {
  [[unroll]] for (uint i = 0; i < TM / 4; ++i) av[i] = a_tile[stage][kk * A_LINE + ty + i * (BM / TM)];
  [[unroll]] for (uint j = 0; j < TN / 4; ++j) bv[j] = b_tile[stage][kk * B_LINE + tx + j * (BN / TN)];
}
void multiply(vec4 av[TM / 4], vec4 bv[TN / 4]) {
  [[unroll]] for (uint i = 0; i < TM; ++i)
    [[unroll]] for (uint j = 0; j < TN / 4; ++j) sum[i][j] = fma(vec4(av[i / 4][i % 4]), bv[j], sum[i][j]);
}
void multiply_all(uint stage) {
  [[unroll]] for (uint kk = 0; kk < BK; ++kk) {
    vec4 av[TM / 4], bv[TN / 4];
    read_step(stage, kk, av, bv);
    multiply(av, bv);
  }
}

void main() {
  Tile tile;
  if (gate_closed() || !find_tile(tile)) return;
  uint k_begin = tile.split * split_depth;
  k_end = min(k_begin + split_depth, depth);
  find_fetches(tile, k_begin);
  place();
  [[unroll]] for (uint i = 0; i < TM; ++i) [[unroll]] for (uint j = 0; j < TN / 4; ++j) sum[i][j] = vec4(0);

  // A step that is not whole comes first, so that the loop fetches whole ones only.
  uint steps = (k_end - k_begin + BK - 1) / BK, whole = (k_end - k_begin) / BK * BK;
  if (k_begin + whole < k_end) fetch_rest(k_begin + whole, whole);
  else fetch_step();
  uint stage = 0;
#if READ_AHEAD
  vec4 av[2][TM / 4], bv[2][TN / 4];
  share(0);
  barrier();
  read_step(0, 0, av[0], bv[0]);
  for (uint step = 1; step < steps; ++step) {
    fetch_step();
    [[unroll]] for (uint kk = 0; kk < BK; ++kk) {
      if (kk == BK - 1) {
        stage ^= 1;
        share(stage);
        barrier();
        read_step(stage, 0, av[0], bv[0]);
      } else {
        read_step(stage, kk + 1, av[(kk + 1) % 2], bv[(kk + 1) % 2]);
      }
      multiply(av[kk % 2], bv[kk % 2]);
    }
  }
  [[unroll]] for (uint kk = 0; kk < BK; ++kk) {
    if (kk + 1 < BK) read_step(stage, kk + 1, av[(kk + 1) % 2], bv[(kk + 1) % 2]);
    multiply(av[kk % 2], bv[kk % 2]);
  }
#elif STAGES == 2
  share(0);
  barrier();
  for (uint step = 1; step < steps; ++step) {
    fetch_step();
    multiply_all(stage);
#ifdef LEAN
    stage = (stage ^ 1) & 1;  // bounded, so that RADV's compiler folds constant offsets: 13 % fewer cycles by its count
#else
    stage ^= 1;
#endif
    share(stage);
    barrier();
  }
  multiply_all(stage);
#else
  for (uint step = 1; step < steps; ++step) {
    share(stage);
    barrier();
    fetch_step();
    multiply_all(stage);
    barrier();
  }
  share(stage);
  barrier();
  multiply_all(stage);
#endif

#if TILE == 128 && A_ALONG_K
  // Where nothing is added and the tile is whole, its sums are stored as they are. Without this path of its own NVIDIA's compiler makes
  // the loop above slower: by 18 % in nn, by 2 % in nt.
  if (kActivation == 0 && has_bias + has_residual == 0 && tile.row + BM <= rows && tile.col + BN <= cols) {
    uint at = (tile.split * rows + tile.row) * y_stride + y_column + tile.col / 4;
    [[unroll]] for (uint j = 0; j < TN / 4; ++j)
      [[unroll]] for (uint i = 0; i < TM; ++i)
        set_y(at + ((ty + i / 4 * (BM / TM)) * 4 + i % 4) * y_stride + tx + j * (BN / TN), sum[i][j]);
    return;
  }
#endif
  [[unroll]] for (uint j = 0; j < TN / 4; ++j) {
    uint col4 = tile.col / 4 + tx + j * (BN / TN);
    vec4 bias_words = load_bias(col4);
    [[unroll]] for (uint i = 0; i < TM; ++i)
      store_y(tile.split, tile.row + (ty + i / 4 * (BM / TM)) * 4 + i % 4, col4, sum[i][j] + bias_words);
  }
}
