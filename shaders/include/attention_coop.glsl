// The cooperative-matrix form of the attention kernels: fp16 fragments of 16 x 16 with fp32 sums. Softmax statistics and everything
// elementwise is fp32: sums pass through shared memory (`sums`, 16 rows at a time), where lane l of a subgroup has row l / 2 and
// columns 8 (l % 2) on of a fragment, and go back rounded to fp16. Head sizes are multiples of 16; subgroups have 32 invocations.
// Blocks lie [row][head] in uvec4s of 8 fp16, a row padded by one, so that the rows which a fragment load reads at once lie on different
// banks.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD = 32;  // head size
layout(constant_id = 2) const uint BQ = 64;    // queries a block
layout(constant_id = 3) const uint BK = 64;    // keys a block
const uint WARPS = OWN_ROWS / 16;              // subgroups; OWN_ROWS: BQ or BK, what a workgroup keeps, 16 rows a subgroup
const uint LOCAL = 32 * WARPS;
const uint HEAD8 = HEAD / 8, HEAD16 = HEAD / 16;
const uint LINE = HEAD8 + 1;                   // uvec4s from row to row of a block of q, k, v
const uint WEIGHT_LINE = BK / 8 + 1;           // the same of fp16 weights [query][key]

uvec4 pack8(vec4 a, vec4 b) {
  return uvec4(packHalf2x16(a.xy), packHalf2x16(a.zw), packHalf2x16(b.xy), packHalf2x16(b.zw));
}
// READ_VALUES, and `uvec4 name8(uint i)`: elements [8i, 8i + 8) as fp16.
#define READ_HALF(b, Name, name)                                                                  \
  READ_VALUES(b, Name, name)                                                                      \
  layout(set = 0, binding = b) readonly buffer Name##Eights { uvec4 name##_eights[]; };           \
  uvec4 name##8(uint i) {                                                                         \
    if (TYPE_OF(b) == kFp16) return name##_eights[i];                                             \
    return pack8(name(2 * i), name(2 * i + 1));                                                   \
  }
