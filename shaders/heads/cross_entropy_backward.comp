#version 450
#extension GL_GOOGLE_include_directive : require
// d_logits[n, c] = (exp(logits[n, c] - log_sum_exp[n]) - (c == labels[n])) d_loss[n], zero where the label is ignored and from
// column counts[n] on
#include "grid.glsl"
#include "numbers.glsl"
#include "row_softmax.glsl"
layout(set = 0, binding = 0) readonly buffer Logits { vec4 logits[]; };            // rows of this call, [rows, columns]
layout(set = 0, binding = 1) readonly buffer Labels { uint labels[]; };            // [1, positions]
layout(set = 0, binding = 2) readonly buffer LogSumExp { float log_sum_exp[]; };   // [1, positions]
layout(set = 0, binding = 3) readonly buffer DLoss { float d_loss[]; };            // [1, positions]
layout(set = 0, binding = 4) writeonly buffer DLogits { vec4 d_logits[]; };        // rows of this call; may be Logits
layout(set = 0, binding = 5) readonly buffer Counts { uint counts[]; };            // [1, positions], when has_counts
layout(push_constant) uniform Push {
  uint rows;       // of this call
  uint first_row;  // of this call
  uint columns;
  uint has_counts;
};

void main() {
  uint row = row_of_call(), lane = lane_of_row();
  if (row >= rows) return;
  uint position = first_row + row, label = labels[position];
  uint stride4 = (columns + 3) / 4, base = row * stride4;
  float shift = log_sum_exp[position], d = d_loss[position];
  bool counted = label != kNone;
  uint count = has_counts != 0 ? min(counts[position], columns) : columns;
  // What the forward pass marked as non-finite stays so: exp() of a NaN is not one on every driver.
  float marked = uintBitsToFloat(counted && not_finite(shift) ? kNanBits : 0u);
  if (!counted) d = 0.0;
  for (uint k = lane; k < stride4; k += kLanes) {
    uvec4 column = uvec4(4 * k) + uvec4(0, 1, 2, 3);
    vec4 p = exp_below(logits[base + k] - shift) + marked;
    p -= mix(vec4(0.0), vec4(1.0), equal(column, uvec4(label)));
    bvec4 real = lessThan(column, uvec4(counted ? count : 0u));
    d_logits[base + k] = mix(vec4(0.0), p * d, real);
  }
}
