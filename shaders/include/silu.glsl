// x sigmoid(x) = x / (1 + exp(-x)). The exponential stays below 2^60, so that it and its square are finite.
float silu_exponential(float x) { return exp(min(-x, 41.0)); }
float silu(float x) { return x / (1.0 + silu_exponential(x)); }
// With s = sigmoid(x), the slope is s + x s (1 - s).
float d_silu(float x) {
  float e = silu_exponential(x), s = 1.0 / (1.0 + e);
  return s + x * (s * s * e);
}
