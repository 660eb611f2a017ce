// Numbers that drivers treat badly, seen by their bits (docs/architecture.md, Numbers): max() and log() may hide a NaN.
const uint kNone = 0xFFFFFFFFu;       // no label, no group
const uint kInfinityBits = 0x7F800000u;
const uint kNanBits = 0x7FC00000u;
uint magnitude_bits(float x) { return floatBitsToUint(x) & 0x7FFFFFFFu; }
bool not_finite(float x) { return magnitude_bits(x) >= kInfinityBits; }
// The largest of four magnitudes, as bits; at least kInfinityBits when one of them is infinite or NaN.
uint magnitude_bits(vec4 x) {
  uvec4 bits = floatBitsToUint(x) & 0x7FFFFFFFu;
  return max(max(bits.x, bits.y), max(bits.z, bits.w));
}
