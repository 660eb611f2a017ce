// Buffers whose elements are fp32 or, packed two to a word by hand, fp16 or bf16: no device feature is needed for either. The type of
// binding b is specialisation constant 16 + b, which the executor sets from the value it binds there; the choice folds away when the
// pipeline is made. Index i stands for elements [4i, 4i + 4).
const uint kFp32 = 0, kFp16 = 1, kBf16 = 2;  // graph::DType's storage codes; 3, signed bytes, is not read by these macros

vec4 unpack_fp16(uvec2 w) { return vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y)); }
vec4 unpack_bf16(uvec2 w) {
  return uintBitsToFloat(uvec4(w.x << 16, w.x & 0xFFFF0000u, w.y << 16, w.y & 0xFFFF0000u));
}
// packHalf2x16 may round or truncate; what is too large becomes infinite either way, never the largest finite number: training with
// a scaled loss tells an overflow by it.
uvec2 pack_fp16(vec4 v) {
  uvec4 bits = floatBitsToUint(v), magnitude = bits & 0x7FFFFFFFu;
  bvec4 over = greaterThanEqual(magnitude, uvec4(0x477FF000u));  // 65,520; NaN too, which one driver's packing lets spill over
  v = mix(v, vec4(0), over);
  uvec2 w = uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw));
  if (any(over)) {
    uvec4 special = mix(bits >> 16 & 0x8000u | 0x7C00u, uvec4(0x7E00u), greaterThan(magnitude, uvec4(0x7F800000u)));
    special = mix(uvec4(0), special, over);
    w |= uvec2(special.x | special.y << 16, special.z | special.w << 16);
  }
  return w;
}
// To nearest, ties to even.
uvec2 pack_bf16(vec4 v) {
  uvec4 bits = floatBitsToUint(v);
  uvec4 rounded = bits + 0x7FFFu + (bits >> 16 & 1u);
  rounded = mix(rounded, bits | 0x400000u, greaterThan(bits & 0x7FFFFFFFu, uvec4(0x7F800000u)));
  return uvec2(rounded.x >> 16 | (rounded.y & 0xFFFF0000u), rounded.z >> 16 | (rounded.w & 0xFFFF0000u));
}
vec4 unpack_values(uvec2 w, uint type) { return type == kFp16 ? unpack_fp16(w) : unpack_bf16(w); }
uvec2 pack_values(vec4 v, uint type) { return type == kFp16 ? pack_fp16(v) : pack_bf16(v); }

// vec4s from row to row of a value with so many columns: ld / 4.
uint row_vec4s(uint columns, uint type) { return type == kFp32 ? (columns + 3) / 4 : (columns + 7) / 8 * 2; }

#define TYPE_OF(b) kType##b
#define DECLARE_VALUES(b, access, Name, name)                                      \
  layout(constant_id = 16 + b) const uint kType##b = 0;                            \
  layout(set = 0, binding = b) access buffer Name { vec4 name##_fp32[]; };         \
  layout(set = 0, binding = b) access buffer Name##Packed { uvec2 name##_packed[]; };
#define READ_FUNCTION(b, name) \
  vec4 name(uint i) { if (kType##b == kFp32) return name##_fp32[i]; return unpack_values(name##_packed[i], kType##b); }
#define WRITE_FUNCTION(b, name)                                \
  void set_##name(uint i, vec4 v) {                            \
    if (kType##b == kFp32) name##_fp32[i] = v;                 \
    else name##_packed[i] = pack_values(v, kType##b);          \
  }
// vec4 name(uint i)
#define READ_VALUES(b, Name, name) DECLARE_VALUES(b, readonly, Name, name) READ_FUNCTION(b, name)
// void set_name(uint i, vec4 v)
#define WRITE_VALUES(b, Name, name) DECLARE_VALUES(b, writeonly, Name, name) WRITE_FUNCTION(b, name)
// both
#define MODIFY_VALUES(b, Name, name) DECLARE_VALUES(b, , Name, name) READ_FUNCTION(b, name) WRITE_FUNCTION(b, name)
