// The tile that the grouped products share on drivers that run on the CPU, as in matmul_shuffle.comp: one subgroup a workgroup, BM rows
// of 4 * kLanes columns, 4 columns an invocation; the words of a are fetched once a subgroup and spread by shuffles with constant
// lanes. Texel fetches and shuffles are vector instructions there, storage buffers and shared memory are loops over lanes.
// Define A_ALONG_K (1: a's vec4s lie along K).
layout(constant_id = 2) const uint kLanes = 8;  // the subgroup size: 8 (the steps of a round), 16 or 32
layout(local_size_x_id = 2) in;
#define BM 32
#define BN (4 * kLanes)
#define BK 8                   // steps of K a round
#define A_WORDS (BM * BK / 4)  // vec4s of a a round, dealt out over the lanes: fetch i of a lane is word lane + i * kLanes
#define A_FETCHES (A_WORDS / kLanes)
#if A_ALONG_K
#define A_WORD(i, kk) ((kk) / 4 * BM + (i))  // which word holds row i, step kk ...
#define A_PART(i, kk) ((kk) % 4)             // ... and where in it
#else
#define A_WORD(i, kk) ((kk) * (BM / 4) + (i) / 4)
#define A_PART(i, kk) ((i) % 4)
#endif
uint fetch_word(uint i) { return gl_SubgroupInvocationID + i * kLanes; }

vec4 av[A_FETCHES];  // a round of a
vec4 bv[BK];         // a round of b: [step of K], 4 columns
vec4 sum[BM];

void clear_sum() {
  [[unroll]] for (uint i = 0; i < BM; ++i) sum[i] = vec4(0);
}
void multiply_round() {
  [[unroll]] for (uint i = 0; i < BM; ++i) {
    vec4 row_sum = sum[i];
    [[unroll]] for (uint kk = 0; kk < BK; ++kk) {
      float x = subgroupShuffle(av[A_WORD(i, kk) / kLanes][A_PART(i, kk)], A_WORD(i, kk) % kLanes);
      row_sum += x * bv[kk];
    }
    sum[i] = row_sum;
  }
}
