#version 450
#extension GL_GOOGLE_include_directive : require
// d_logits[n, c] = (exp(logits[n, c] - log_sum_exp[n]) - (c == labels[n])) scale[0]; zero where the label is ignored.
// d_logits may be the logits' own memory: an element is read and written by the same invocation, in this order.
#include "grid.glsl"
#include "numbers.glsl"
#include "row_softmax.glsl"
#include "values.glsl"
layout(set = 0, binding = 0) readonly buffer Logits { vec4 logits[]; };            // [rows, columns] of this call
layout(set = 0, binding = 1) readonly buffer Labels { uint labels[]; };            // [1, positions]
layout(set = 0, binding = 2) readonly buffer LogSumExp { float log_sum_exp[]; };   // [1, positions]
layout(set = 0, binding = 3) readonly buffer Scale { float scale[]; };             // [1, 4]
layout(set = 0, binding = 4) readonly buffer Gate { uint gate[]; };                // [1, 1]
WRITE_VALUES(5, DLogits, d_logits)
layout(push_constant) uniform Push {
  uint rows;          // of this call
  uint first_row;     // the position of row 0
  uint first_column;  // the token of column 0
  uint columns;       // of this call
  uint gate_from;     // above 0: nothing is done unless gate[0] is above this
};

void main() {
  uint row = row_of_call(), lane = lane_of_row();
  if (row >= rows || (gate_from > 0 && gate[0] <= gate_from)) return;
  uint position = first_row + row, label = labels[position];
  uint stride4 = (columns + 3) / 4, base = row * stride4, d_stride4 = row_vec4s(columns, TYPE_OF(5));
  float shift = log_sum_exp[position];
  bool counted = label != kNone;
  float d = counted ? scale[0] : 0.0;
  // What the loss marked as non-finite stays so: exp() of a NaN is not one on every driver.
  float marked = uintBitsToFloat(counted && not_finite(shift) ? kNanBits : 0u);
  for (uint k = lane; k < d_stride4; k += kLanes) {
    uvec4 column = uvec4(4 * k) + uvec4(0, 1, 2, 3);
    vec4 p = exp_below(logits[base + min(k, stride4 - 1)] - shift) + marked;
    p -= mix(vec4(0.0), vec4(1.0), equal(column + first_column, uvec4(label)));
    bvec4 real = lessThan(column, uvec4(counted ? columns : 0u));
    set_d_logits(row * d_stride4 + k, mix(vec4(0.0), p * d, real));
  }
}
