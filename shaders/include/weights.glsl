// Weights as they are stored: fp32, fp16, bf16 (values.glsl), signed bytes, four to a word, or four bits, eight to a word. The type is
// specialisation constant 16 + b; constant 32 + b says that the kernel can read bytes there. Index i stands for elements [4i, 4i + 4).
// What kScaled says of whole numbers: they are as they are; those of four bits stand for themselves - 8; or for themselves, and have an
// offset behind each scale (ops/stored_table.hpp).
const uint kI8 = 3, kU4 = 4;
const uint kNoScales = 0, kScalesAlone = 1, kScalesAndOffsets = 2;
// A byte, its sign bit turned, is the lowest part of 2^23 + 128 + byte: some devices convert integers at a quarter of other speeds.
vec4 unpack_i8(uint w) {
  uvec4 bytes = uvec4(w, w >> 8, w >> 16, w >> 24) & 0xFFu;
  return uintBitsToFloat(bytes ^ 0x4B000080u) - 8388736.0;
}
// 16 bits: the lowest parts of 2^23.
vec4 unpack_u4(uint w, uint scaled) {
  uvec4 nibbles = uvec4(w, w >> 4, w >> 8, w >> 12) & 0xFu;
  return uintBitsToFloat(nibbles | 0x4B000000u) - (scaled == kScalesAlone ? 8388616.0 : 8388608.0);
}
// Where the scale of vec4 `c` of a row lies among the scales, as a vec4 of them, and what it makes of that vec4. Groups are of 32.
uint scale_vec4(uint scaled, uint row, uint columns, uint c, uint type) {
  uint of_row = (columns + 31) / 32 * scaled, at = c / 8 * scaled;
  return row * row_vec4s(of_row, type) + at / 4;
}
vec4 with_scale(uint scaled, vec4 v, uint c, vec4 scales) {
  uint at = c / 8 * scaled % 4;
  return scaled == kScalesAlone ? v * scales[at] : v * scales[at] + scales[at + 1];
}
// vec4s from row to row of a matrix with so many columns.
uint weight_vec4s(uint columns, uint type) {
  return type == kI8 ? (columns + 15) / 16 * 4 : type == kU4 ? (columns + 31) / 32 * 8 : row_vec4s(columns, type);
}
#define READ_WEIGHTS(b, Name, name)                                                  \
  layout(constant_id = 16 + b) const uint kType##b = 0;                              \
  layout(constant_id = 32 + b) const uint kReadsBytes##b = 1;                        \
  layout(set = 0, binding = b) readonly buffer Name { vec4 name##_fp32[]; };         \
  layout(set = 0, binding = b) readonly buffer Name##Packed { uvec2 name##_packed[]; }; \
  layout(set = 0, binding = b) readonly buffer Name##Bytes { uint name##_bytes[]; }; \
  vec4 name(uint i) {                                                                \
    if (kType##b == kFp32) return name##_fp32[i];                                    \
    if (kReadsBytes##b != 0 && kType##b == kI8) return unpack_i8(name##_bytes[i]);   \
    if (kReadsBytes##b != 0 && kType##b == kU4)                                      \
      return unpack_u4(name##_bytes[i / 2] >> i % 2 * 16, kScaled);                  \
    return unpack_values(name##_packed[i], kType##b);                                \
  }

// The same, 16 bytes at a time: uvec4 name[], and vec4 name_part(uvec4 words, uint e), the e-th of those that 16 bytes hold.
#define READ_WEIGHT_WORDS(b, Name, name)                                    \
  layout(constant_id = 16 + b) const uint kType##b = 0;                     \
  layout(constant_id = 32 + b) const uint kReadsBytes##b = 1;               \
  layout(set = 0, binding = b) readonly buffer Name { uvec4 name[]; };      \
  vec4 name##_part(uvec4 words, uint e) {                                   \
    if (kType##b == kFp32) return uintBitsToFloat(words);                   \
    if (kReadsBytes##b != 0 && kType##b == kI8) return unpack_i8(words[e]); \
    if (kReadsBytes##b != 0 && kType##b == kU4)                             \
      return unpack_u4(words[e / 2] >> e % 2 * 16, kScaled);                \
    return unpack_values(e == 0 ? words.xy : words.zw, kType##b);           \
  }
