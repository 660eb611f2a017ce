// 16 bytes of packed numbers out of a texel, on the software drivers that read those. Needs values.glsl.
// fp16 by hand: a software driver's own unpacking takes a call a number, and some of them take subnormal floats for zero.
vec4 unpack_texel(uvec2 w, uint type) {
  if (type == kBf16) return unpack_bf16(w);
  uvec4 bits = uvec4(w.x & 0xFFFFu, w.x >> 16, w.y & 0xFFFFu, w.y >> 16), magnitude = bits & 0x7FFFu;
  uvec4 number = (magnitude << 13) + 0x38000000u;
  number |= uvec4(greaterThanEqual(magnitude, uvec4(0x7C00u))) * 0x7F800000u;
  uvec4 subnormal = floatBitsToUint(vec4(magnitude) * (1.0 / 16777216.0));
  number = mix(number, subnormal, lessThan(magnitude, uvec4(0x0400u)));
  return uintBitsToFloat(number | (bits & 0x8000u) << 16);
}
