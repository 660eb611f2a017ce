// Sums of squares are never negative: -1 marks one that met an infinity or a NaN. Exponent bits decide, since drivers differ in how
// NaN passes through comparisons, max and conversions (docs/architecture.md, Numbers).
const uint kExponentBits = 0x7F800000u;
const float kNonFinite = -1.0;
bool is_nonfinite(float x) { return (floatBitsToUint(x) & kExponentBits) == kExponentBits; }
float mark_nonfinite(float sum, bool seen) { return seen || is_nonfinite(sum) ? kNonFinite : sum; }
