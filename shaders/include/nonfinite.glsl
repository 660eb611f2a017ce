// Sums of squares are never negative: -1 marks one that met an infinity or a NaN. Exponent bits decide, since drivers differ in how
// NaN passes through comparisons, max and conversions (docs/architecture.md, Numbers). Needs numbers.glsl.
const float kNonFinite = -1.0;
float mark_nonfinite(float sum, bool seen) { return seen || not_finite(sum) ? kNonFinite : sum; }
