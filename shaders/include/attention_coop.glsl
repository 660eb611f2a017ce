// The cooperative-matrix form of the attention kernels: fp16 or bf16 fragments of 16 x 16 with fp32 sums. Softmax statistics and everything
// elementwise is fp32: sums pass through shared memory (`sums`, 16 rows at a time), where lane l of a subgroup has row l / 2 and
// columns 8 (l % 2) on of a fragment, and go back rounded to 16 bits. Head sizes are multiples of 16; subgroups have 32 invocations.
// Blocks lie [row][head] in uvec4s of 8 values, a row padded by one, so that the rows which a fragment load reads at once lie on different
// banks.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD = 32;  // head size
layout(constant_id = 2) const uint BQ = 64;    // queries a block
layout(constant_id = 3) const uint BK = 64;    // keys a block
const uint WARPS = OWN_ROWS / 16;              // subgroups; OWN_ROWS: BQ or BK, what a workgroup keeps, 16 rows a subgroup
const uint LOCAL = 32 * WARPS;
const uint HEAD8 = HEAD / 8, HEAD16 = HEAD / 16;
const uint LINE = HEAD8 + 1;                   // uvec4s from row to row of a block of q, k, v
const uint WEIGHT_LINE = BK / 8 + 1;           // the same of weights [query][key]

#if COOPMAT == 0
#define COOP_TYPE TYPE_OF(0)
#endif
uvec2 pack4(vec4 a, uint type) { return type == kFp16 ? uvec2(packHalf2x16(a.xy), packHalf2x16(a.zw)) : pack_bf16(a); }
#define PACK4(a) pack4(a, COOP_TYPE)
#define PACK8(a, b) uvec4(PACK4(a), PACK4(b))
// READ_VALUES, and `uvec4 name8(uint i)`: elements [8i, 8i + 8) as COOP_TYPE.
#define READ_HALF(b, Name, name)                                                                  \
  READ_VALUES(b, Name, name)                                                                      \
  layout(set = 0, binding = b) readonly buffer Name##Eights { uvec4 name##_eights[]; };           \
  uvec4 name##8(uint i) {                                                                         \
    if (TYPE_OF(b) == COOP_TYPE) return name##_eights[i];                                            \
    return PACK8(name(2 * i), name(2 * i + 1));                                                   \
  }
