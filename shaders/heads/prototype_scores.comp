#version 450
#extension GL_GOOGLE_include_directive : require
// y[n, j] = x[n, j] for j < K; the score of group g is y[n, K + g] = log(sum over its c prototypes of exp(x[n, K + g c + ..])), NaN
// when one of them is not finite.
#include "grid.glsl"
#include "numbers.glsl"
layout(local_size_x = 128) in;  // one vec4 of y an invocation
layout(set = 0, binding = 0) readonly buffer X { float x[]; };         // rows of this call, [rows, K + G c]
layout(set = 0, binding = 1) writeonly buffer Y { uvec4 y_bits[]; };   // rows of this call, [rows, K + G], floats
layout(push_constant) uniform Push {
  uint rows;        // of this call
  uint plain;       // K
  uint groups;      // G
  uint prototypes;  // c
};

uint score_bits(uint first) {
  float maximum = x[first], sum = 0.0;
  uint magnitude = 0u;
  for (uint i = 0; i < prototypes; ++i) {
    float v = x[first + i];
    maximum = max(maximum, v);
    magnitude = max(magnitude, magnitude_bits(v));
  }
  for (uint i = 0; i < prototypes; ++i) sum += exp(max(x[first + i] - maximum, -104.0));
  return magnitude >= kInfinityBits ? kNanBits : floatBitsToUint(maximum + log(sum));
}

void main() {
  uint at = linear_group() * 128 + gl_LocalInvocationID.x, classes = plain + groups, stride4 = (classes + 3) / 4;
  if (at >= rows * stride4) return;
  uint base = at / stride4 * ((plain + groups * prototypes + 3) / 4 * 4);
  uvec4 bits = uvec4(0);
  for (uint i = 0; i < 4; ++i) {
    uint j = at % stride4 * 4 + i;
    if (j < plain) {
      bits[i] = floatBitsToUint(x[base + j]);
    } else if (j < classes) {
      bits[i] = score_bits(base + plain + (j - plain) * prototypes);
    }
  }
  y_bits[at] = bits;
}
