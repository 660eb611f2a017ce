// Weights as they are stored: fp32, fp16, bf16 (values.glsl) or signed bytes, four to a word. The type is specialisation constant
// 16 + b; constant 32 + b says that the kernel can read bytes there. Index i stands for elements [4i, 4i + 4).
const uint kI8 = 3;
// A byte, its sign bit turned, is the lowest part of 2^23 + 128 + byte: some devices convert integers at a quarter of other speeds.
vec4 unpack_i8(uint w) {
  uvec4 bytes = uvec4(w, w >> 8, w >> 16, w >> 24) & 0xFFu;
  return uintBitsToFloat(bytes ^ 0x4B000080u) - 8388736.0;
}
// vec4s from row to row of a matrix with so many columns.
uint weight_vec4s(uint columns, uint type) { return type == kI8 ? (columns + 15) / 16 * 4 : row_vec4s(columns, type); }
#define READ_WEIGHTS(b, Name, name)                                                  \
  layout(constant_id = 16 + b) const uint kType##b = 0;                              \
  layout(constant_id = 32 + b) const uint kReadsBytes##b = 1;                        \
  layout(set = 0, binding = b) readonly buffer Name { vec4 name##_fp32[]; };         \
  layout(set = 0, binding = b) readonly buffer Name##Packed { uvec2 name##_packed[]; }; \
  layout(set = 0, binding = b) readonly buffer Name##Bytes { uint name##_bytes[]; }; \
  vec4 name(uint i) {                                                                \
    if (kType##b == kFp32) return name##_fp32[i];                                    \
    if (kReadsBytes##b != 0 && kType##b == kI8) return unpack_i8(name##_bytes[i]);                          \
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
    return unpack_values(e == 0 ? words.xy : words.zw, kType##b);           \
  }
