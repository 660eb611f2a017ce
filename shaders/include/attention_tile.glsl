// The GPU form of the attention kernels: C neighbouring invocations, each with every C-th vec4 of the head, own one row in registers;
// the rows that it goes through come through shared memory in tiles of TILE rows, read as vec4 by all invocations alike. Head sizes
// that are no multiple of 4 * C are padded with zeros in registers and shared memory. C is 1, but for two forms that sum a dot product
// of C parts: SPLIT shuffles them within a subgroup; TOGETHER has them pass through shared memory, where all rows of a workgroup go
// through a tile together. Before including this, define DOTS: how many dot products each row of a tile takes.
#ifdef SPLIT
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD = 32;     // head size
layout(constant_id = 2) const uint C = 1;         // invocations a row; a power of two, 1 without SPLIT and TOGETHER
layout(constant_id = 3) const uint TILE = 32;     // rows a tile in shared memory, a multiple of STEP
layout(constant_id = 4) const uint STEP = 4;      // rows of the tile gone through at once
layout(constant_id = 0) const uint LOCAL = 128;
const uint PART = (HEAD + 4 * C - 1) / (4 * C);   // vec4 of the head an invocation holds
const uint HEAD4 = PART * C;
const uint ROWS = LOCAL / C;                      // rows a workgroup

// This invocation's place in its workgroup. SPLIT counts lanes as the subgroup does, whatever the order of local indices.
uint lane_index() {
#ifdef SPLIT
  return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID;
#else
  return gl_LocalInvocationID.x;
#endif
}
// Sums over the C invocations of a row, of number i < STEP * DOTS each: all parts are shared, then meet(), then the sums are taken.
#ifdef TOGETHER
// A form of its own and no constant: one driver takes part in a barrier even in a branch that is never entered, and without this
// form not all invocations get here equally often. Rounds alternate between two halves of the memory, so that one barrier a round
// will do.
const bool kTogether = true;
const uint ROUND = STEP * DOTS * LOCAL;
shared float part_sums[2 * ROUND];
uint part_round = 0;
void share_part(uint i, float x) { part_sums[part_round + i * LOCAL + lane_index()] = x; }
void meet() {
  barrier();
  part_round = ROUND - part_round;
}
float sum_of_parts(uint i, float x) {
  float sum = 0;
  uint first = ROUND - part_round + i * LOCAL + lane_index() / C * C;
  [[unroll]] for (uint c = 0; c < C; ++c) sum += part_sums[first + c];
  return sum;
}
#else
const bool kTogether = false;
void share_part(uint i, float x) {}
void meet() {}
float sum_of_parts(uint i, float x) {
#ifdef SPLIT
  [[unroll]] for (uint step = 1; step < C; step *= 2) x += subgroupShuffleXor(x, step);
#endif
  return x;
}
#endif

// Defines `vec4 name(uint word, uint d)`: elements [4d, 4d + 4) of the head that begins at element `word` of a value read by values(),
// zero past its end.
#define HEAD_READER(name, values)                                                                               \
  vec4 name(uint word, uint d) {                                                                                \
    vec4 part = vec4(0);                                                                                        \
    if (HEAD % 4 == 0) {                                                                                        \
      if (4 * d < HEAD) part = values(word / 4 + d);                                                            \
    } else {                                                                                                    \
      [[unroll]] for (uint c = 0; c < 4; ++c) {                                                                 \
        if (4 * d + c < HEAD) part[c] = values((word + 4 * d + c) / 4)[(word + 4 * d + c) % 4];                 \
      }                                                                                                         \
    }                                                                                                           \
    return part;                                                                                                \
  }
// Declares binding b and defines `void write_name(uint word, uint d, vec4 part)`: the reverse. 16-bit heads of odd sizes share words with
// their neighbours, so each sets its half of a word that was zero.
#define HEAD_WRITER(b, Name, name)                                                                              \
  MODIFY_VALUES(b, Name, name)                                                                                  \
  layout(set = 0, binding = b) buffer Name##Bits { uint name##_bits[]; };                                       \
  void write_##name(uint word, uint d, vec4 part) {                                                             \
    if (HEAD % 4 == 0) {                                                                                        \
      if (4 * d < HEAD) set_##name(word / 4 + d, part);                                                         \
      return;                                                                                                   \
    }                                                                                                           \
    uvec2 packed = pack_values(part, TYPE_OF(b));                                                               \
    [[unroll]] for (uint c = 0; c < 4; ++c) {                                                                   \
      uint x = word + 4 * d + c;                                                                                \
      if (4 * d + c >= HEAD) continue;                                                                          \
      if (TYPE_OF(b) == kFp32) name##_fp32[x / 4][x % 4] = part[c];                                             \
      else atomicOr(name##_bits[x / 2], (packed[c / 2] >> 16 * (c % 2) & 0xFFFFu) << 16 * (x % 2));             \
    }                                                                                                           \
  }
