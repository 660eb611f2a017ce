// tanh as the drivers should have it: some give NaN beyond |x| = 89 and 4 % error near 0 (docs/architecture.md, Numbers).
float safe_tanh(float x) {
  float e = exp(-2.0 * min(abs(x), 10.0));
  float t = (1.0 - e) / (1.0 + e);
  // Near zero 1 - e cancels: the odd Taylor series is exact to rounding for |x| < 0.1.
  float s = x * x;
  float series = abs(x) * (1.0 + s * (-1.0 / 3.0 + s * (2.0 / 15.0 + s * (-17.0 / 315.0 + s * (62.0 / 2835.0)))));
  return sign(x) * (abs(x) < 0.1 ? series : t);
}
const float kGeluScale = 0.7978845608028654;  // sqrt(2 / pi)
const float kGeluCubic = 0.044715;
float gelu(float x) { return 0.5 * x * (1.0 + safe_tanh(kGeluScale * (x + kGeluCubic * x * x * x))); }
float d_gelu(float x) {
  float t = safe_tanh(kGeluScale * (x + kGeluCubic * x * x * x));
  return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * kGeluScale * (1.0 + 3.0 * kGeluCubic * x * x);
}
