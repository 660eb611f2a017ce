// The 64 x 64 tile that the grouped matrix products share: 128 invocations, 8 x 4 sums each, from shared memory that holds BK steps of
// K, as in matmul_tile.comp. Rows of a and b are gathered, so the including file says how a step is fetched. Define A_ALONG_K and
// B_ALONG_K (1: the operand's vec4s lie along K, and are transposed on the way into shared memory), and SUM_A for a_sum.
#define BM 64
#define BN 64
#define BK 16
#define TM 8
#define THREADS 128
layout(local_size_x = THREADS) in;
#define FETCHES (BM * BK / 4 / THREADS)

#define A_LINE (BM / 4 + A_ALONG_K)  // the odd stride keeps a transposed operand's stores on different banks
#define B_LINE (BN / 4 + B_ALONG_K)
shared vec4 a_tile[BK * A_LINE];
shared vec4 b_tile[BK * B_LINE];

// How the vec4s of an operand's step are dealt out: fetch i of this invocation is number gl_LocalInvocationID.x + i * THREADS.
#define FETCH_WIDTH(along_k) ((along_k) != 0 ? BK / 4 : BM / 4)
uint fetch_row(uint i, uint along_k) { return (gl_LocalInvocationID.x + i * THREADS) / FETCH_WIDTH(along_k); }
uint fetch_col(uint i, uint along_k) { return (gl_LocalInvocationID.x + i * THREADS) % FETCH_WIDTH(along_k); }

vec4 a_next[FETCHES], b_next[FETCHES];  // the step to come
vec4 sum[TM];                           // [row tile_row(i)], columns 4 tile_col4() ..
#ifdef SUM_A
vec4 a_sum;  // of this invocation's fetches of a
#endif

void fetch_step();        // the next whole step: nothing conditional, a condition on these loads costs 15 % on NVIDIA
void fetch_rest(uint k);  // the step from k on that reaches over the end of K: zeros beyond it

// An invocation's rows come in runs of 4.
uint tile_row(uint i) { return (gl_LocalInvocationID.x / (BN / 4) + i / 4 * (BM / TM)) * 4 + i % 4; }
uint tile_col4() { return gl_LocalInvocationID.x % (BN / 4); }

void share() {
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    uint row = fetch_row(i, A_ALONG_K), col = fetch_col(i, A_ALONG_K);
#if A_ALONG_K
    [[unroll]] for (uint q = 0; q < 4; ++q) a_tile[(col * 4 + q) * A_LINE + row / 4][row % 4] = a_next[i][q];
#else
    a_tile[row * A_LINE + col] = a_next[i];
#endif
#ifdef SUM_A
    a_sum += a_next[i];
#endif
  }
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    uint row = fetch_row(i, B_ALONG_K), col = fetch_col(i, B_ALONG_K);
#if B_ALONG_K
    [[unroll]] for (uint q = 0; q < 4; ++q) b_tile[(col * 4 + q) * B_LINE + row / 4][row % 4] = b_next[i][q];
#else
    b_tile[row * B_LINE + col] = b_next[i];
#endif
  }
}

// Leaves the product over `depth` steps of K in `sum`. The step that is not whole comes first.
void multiply(uint depth) {
  [[unroll]] for (uint i = 0; i < TM; ++i) sum[i] = vec4(0);
#ifdef SUM_A
  a_sum = vec4(0);
#endif
  if (depth == 0) return;
  uint steps = (depth + BK - 1) / BK, whole = depth / BK * BK;
  if (whole < depth) fetch_rest(whole);
  else fetch_step();
  uint ty = gl_LocalInvocationID.x / (BN / 4), tx = tile_col4();
  for (uint step = 0; step < steps; ++step) {
    barrier();  // nobody reads the step before any more
    share();
    barrier();
    if (step + 1 < steps) fetch_step();
    [[unroll]] for (uint kk = 0; kk < BK; ++kk) {
      vec4 av[TM / 4], bv = b_tile[kk * B_LINE + tx];
      [[unroll]] for (uint i = 0; i < TM / 4; ++i) av[i] = a_tile[kk * A_LINE + ty + i * (BM / TM)];
      [[unroll]] for (uint i = 0; i < TM; ++i) sum[i] = fma(vec4(av[i / 4][i % 4]), bv, sum[i]);
    }
  }
}
