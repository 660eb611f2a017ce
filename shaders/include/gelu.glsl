// x/2 (1 + tanh(u)) = x / (1 + exp(-2u)): without tanh, which some drivers get wrong (NaN beyond |u| = 89, 4 % off near 0), and
// without cancellation on either side (docs/architecture.md, Numbers).
const float kGeluScale = 0.7978845608028654;  // sqrt(2 / pi)
const float kGeluCubic = 0.044715;
// exp(-2u), finite for every x.
float gelu_exponential(float x) { return exp(min(-2.0 * kGeluScale * (x + kGeluCubic * x * x * x), 80.0)); }
float gelu(float x) { return x / (1.0 + gelu_exponential(x)); }
// With s = 1 / (1 + e), the slope is s + 2 x s (1 - s) du/dx. e stays below 2^60 here, so that its square is finite.
float d_gelu(float x) {
  float e = min(gelu_exponential(x), 1e18);
  float s = 1.0 / (1.0 + e);
  return s + 2.0 * x * (s * s * e) * kGeluScale * (1.0 + 3.0 * kGeluCubic * x * x);
}
