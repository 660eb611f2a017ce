#version 450
#extension GL_GOOGLE_include_directive : require
// d_x[n, j] = d_y[n, j] for j < K; d_x[n, K + g c + i] = exp(x[n, K + g c + i] - y[n, K + g]) d_y[n, K + g]
#include "grid.glsl"
#include "numbers.glsl"
layout(local_size_x = 128) in;  // one vec4 of d_x an invocation
layout(set = 0, binding = 0) readonly buffer X { vec4 x[]; };         // rows of this call, [rows, K + G c]
layout(set = 0, binding = 1) readonly buffer Y { float y[]; };        // rows of this call, [rows, K + G]
layout(set = 0, binding = 2) readonly buffer DY { float d_y[]; };     // rows of this call, [rows, K + G]
layout(set = 0, binding = 3) writeonly buffer DX { vec4 d_x[]; };     // rows of this call; may be X
layout(push_constant) uniform Push {
  uint rows;        // of this call
  uint plain;       // K
  uint groups;      // G
  uint prototypes;  // c
};

void main() {
  uint at = linear_group() * 128 + gl_LocalInvocationID.x, columns = plain + groups * prototypes;
  uint stride4 = (columns + 3) / 4;
  if (at >= rows * stride4) return;
  uint base = at / stride4 * ((plain + groups + 3) / 4 * 4);
  vec4 scores = x[at], d = vec4(0.0);
  for (uint i = 0; i < 4; ++i) {
    uint j = at % stride4 * 4 + i;
    if (j < plain) {
      d[i] = d_y[base + j];
    } else if (j < columns) {
      uint score_at = base + plain + (j - plain) / prototypes;
      float score = y[score_at];
      // What the forward pass marked as non-finite stays so: exp() of a NaN is not one on every driver.
      float p = exp(clamp(scores[i] - score, -104.0, 0.0)) + uintBitsToFloat(not_finite(score) ? kNanBits : 0u);
      d[i] = p * d_y[score_at];
    }
  }
  d_x[at] = d;
}
