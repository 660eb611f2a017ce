#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
//! variant attention_coop_khr COOPMAT=1 REQUIRES:GL_KHR_cooperative_matrix
//! variant attention_coop_khr_bf16 COOPMAT=1 COOP_BF16=1 REQUIRES:GL_NV_cooperative_matrix REWRITTEN:kKhrBf16
//! variant attention_coop_nv COOPMAT=2 REQUIRES:GL_NV_cooperative_matrix
//! variant attention_coop_emulated COOPMAT=0
#include "coopmat.glsl"
// out = softmax(q k^T scale, causal, window) v on cooperative matrices. A workgroup takes BQ queries, a subgroup 16 of them, whose sums
// of the output stay in fragments. They are relative to a maximum of the row that is raised only when a score exceeds it by more than
// kSlack powers of 2: raising it takes the sums through shared memory, and weights of up to 2^kSlack do as well in 16 bits.
#if COOPMAT != 0
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_KHR_shader_subgroup_ballot : require
#endif
#include "grid.glsl"
#include "values.glsl"
#include "attention.glsl"
#define OWN_ROWS BQ
#include "attention_coop.glsl"
READ_HALF(0, Q, q_words)
READ_HALF(1, K, k_words)
READ_HALF(2, V, v_words)
WRITE_VALUES(3, Out, attended)
layout(set = 0, binding = 4) writeonly buffer LogSumExp { float log_sum_exp[]; };
const float kSlack = 8;
const uint V_BLOCK = BK * LINE;
shared uvec4 blocks[(2 * BK > BQ ? 2 * BK : BQ) * LINE];  // keys, values; at first the queries
// Of a subgroup: its 16 rows of scores, fp32, then of weights, 16 bits; or a fragment of the output.
const uint SUM_LINE = BK / 4 + 1, SUM_TILE = 16 * SUM_LINE;
shared uvec4 sums[WARPS * SUM_TILE];

// Both lanes of a row get what they agree on; all subgroups of a workgroup call these together only where COOP_SYNC asks for it.
#if COOPMAT != 0
float pair_max(float x) { return max(x, subgroupShuffleXor(x, 1)); }
float pair_sum(float x) { return x + subgroupShuffleXor(x, 1); }
bool any_lane(bool x) { return subgroupBallot(x) != uvec4(0); }
#else
shared float exchange[LOCAL];
shared uint votes[LOCAL];
float partner(float x) {
  barrier();
  exchange[gl_LocalInvocationID.x] = x;
  barrier();
  return exchange[gl_LocalInvocationID.x ^ 1];
}
float pair_max(float x) { return max(x, partner(x)); }
float pair_sum(float x) {
  float other = partner(x);
  return gl_LocalInvocationID.x % 2 == 0 ? x + other : other + x;
}
bool any_lane(bool x) {
  barrier();
  votes[gl_LocalInvocationID.x] = x ? 1 : 0;
  barrier();
  uint all = 0;
  for (uint i = 0; i < LOCAL; ++i) all |= votes[i];
  return all != 0;
}
#endif

const uint FETCHES = (BK * HEAD8 + LOCAL - 1) / LOCAL;
uvec4 k_next[FETCHES], v_next[FETCHES];

// A block of keys, from j0 on, on its way to shared memory. Rows beyond the sequence repeat its last.
void fetch_keys(Place at, uint j0) {
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    uint x = gl_LocalInvocationID.x + i * LOCAL, column = at.head * HEAD8 + x % HEAD8;
    uint row = first_row + at.sequence * positions + min(j0 + x / HEAD8, positions - 1);
    k_next[i] = k_words8((row * k_ld + k_column) / 8 + column);
    v_next[i] = v_words8((row * v_ld + v_column) / 8 + column);
  }
}
void share_keys() {
  [[unroll]] for (uint i = 0; i < FETCHES; ++i) {
    uint x = gl_LocalInvocationID.x + i * LOCAL, to = x / HEAD8 * LINE + x % HEAD8;
    if (x >= BK * HEAD8) break;
    blocks[to] = k_next[i];
    blocks[V_BLOCK + to] = v_next[i];
  }
}

void main() {
  Place at;
  if (!place_of_group(at)) return;
  uint lane = COOP_WARP * 32 + COOP_LANE, warp = COOP_WARP, row = COOP_LANE / 2, side = COOP_LANE % 2;
  uint first = (row_blocks - 1 - at.block) * BQ;  // late rows see most keys: start them first
  uint sequence_row = first_row + at.sequence * positions, head_word = at.head * HEAD8;
  uint tile = warp * SUM_TILE, tile_row = tile + row * SUM_LINE;
  uint query = first + warp * 16 + row;

  for (uint x = lane; x < BQ * HEAD8; x += LOCAL) {
    uint from = sequence_row + min(first + x / HEAD8, positions - 1);
    blocks[x / HEAD8 * LINE + x % HEAD8] = q_words8((from * q_ld + q_column) / 8 + head_word + x % HEAD8);
  }
  barrier();
  COOP_A q[HEAD16];
  COOP_SUM acc[HEAD16];
  [[unroll]] for (uint d = 0; d < HEAD16; ++d) {
    COOP_LOAD_A(q[d], blocks, warp * 16 * LINE + d * 2, LINE, 0);
    COOP_ZERO(acc[d]);
  }
  float top = kNoMaximum, sum = 0;

  uint end = min(first + BQ, positions);
  uint begin = uint(max(int(first) + 1 - int(window), 0)) / BK * BK;
  fetch_keys(at, begin);
  for (uint j0 = begin; j0 < end; j0 += BK) {
    barrier();  // nobody reads the block before any more
    share_keys();
    barrier();
    fetch_keys(at, j0 + BK);

    [[unroll]] for (uint strip = 0; strip < BK / 16; ++strip) {
      COOP_SUM s;
      COOP_ZERO(s);
      [[unroll]] for (uint d = 0; d < HEAD16; ++d) {
        COOP_B k;
        COOP_LOAD_B(k, blocks, strip * 16 * LINE + d * 2, LINE, 1);
        COOP_MULTIPLY_ADD(q[d], k, s);
      }
      COOP_STORE(s, sums, tile + strip * 4, SUM_LINE);
    }
    COOP_SYNC;
    // This lane's half of its row: vec4s 2 i + side, so that both halves are read side by side.
    vec4 s[BK / 8];
    float high = top;
    [[unroll]] for (uint i = 0; i < BK / 8; ++i) {
      int back = int(query) - int(j0 + 8 * i + 4 * side);  // how far behind its query the first key stands
      bvec4 seen = lessThan(uvec4(back - ivec4(0, 1, 2, 3)), uvec4(window));
      s[i] = mix(vec4(kMasked), uintBitsToFloat(sums[tile_row + 2 * i + side]) * (scale * kLog2E), seen);
      high = max(high, max(max(s[i].x, s[i].y), max(s[i].z, s[i].w)));
    }
    high = pair_max(high);
    float level = high > top + kSlack ? high : top, shrink = exp2(top - level);
    bool raise = any_lane(level != top && sum > 0);
    top = level;
    sum *= shrink;
    COOP_SYNC;
    [[unroll]] for (uint i = 0; i < BK / 8; ++i) {
      s[i] = exp2(s[i] - top);
      sum += (s[i].x + s[i].y) + (s[i].z + s[i].w);
    }
    if (raise) {
      [[unroll]] for (uint d = 0; d < HEAD16; ++d) {
        COOP_STORE(acc[d], sums, tile, SUM_LINE);
        COOP_SYNC;
        [[unroll]] for (uint i = 2 * side; i < 2 * side + 2; ++i)
          sums[tile_row + i] = floatBitsToUint(uintBitsToFloat(sums[tile_row + i]) * shrink);
        COOP_SYNC;
        COOP_LOAD_SUM(acc[d], sums, tile, SUM_LINE);
        COOP_SYNC;
      }
    }
    // This lane's 4 of 8 neighbouring keys are half a uvec4.
    [[unroll]] for (uint i = 0; i < BK / 8; ++i) {
      uvec2 packed = PACK4(s[i]);
      sums[tile_row + i][2 * side] = packed.x;
      sums[tile_row + i][2 * side + 1] = packed.y;
    }
    COOP_SYNC;
    [[unroll]] for (uint strip = 0; strip < BK / 16; ++strip) {
      COOP_A p;
      COOP_LOAD_A(p, sums, tile + strip * 2, SUM_LINE, 0);
      [[unroll]] for (uint d = 0; d < HEAD16; ++d) {
        COOP_B v;
        COOP_LOAD_B(v, blocks, V_BLOCK + strip * 16 * LINE + d * 2, LINE, 0);
        COOP_MULTIPLY_ADD(p, v, acc[d]);
      }
    }
    COOP_SYNC;
  }

  sum = pair_sum(sum);
  float inverse = 1 / sum;
  uint to = (sequence_row + query) * (out_ld / 4) + at.head * (HEAD / 4) + 2 * side;
  [[unroll]] for (uint d = 0; d < HEAD16; ++d) {
    COOP_STORE(acc[d], sums, tile, SUM_LINE);
    COOP_SYNC;
    [[unroll]] for (uint h = 0; h < 2; ++h)
      if (query < positions) set_attended(to + 4 * d + h, uintBitsToFloat(sums[tile_row + 2 * side + h]) * inverse);
    COOP_SYNC;
  }
  if (query < positions && side == 0) {
    uint at_row = (sequence_row + query) * log_sum_exp_ld;
    log_sum_exp[at_row + at.head] = (top + log2(sum)) * kLn2;
    [[unroll]] for (uint x = 0; x < 3; ++x)  // the padding
      if (at.head == heads - 1 && heads + x < log_sum_exp_ld) log_sum_exp[at_row + heads + x] = 0;
  }
}
