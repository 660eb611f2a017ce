#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// d_bias[c] = (d_bias[c] +) sum over the rows of d_logits[., c], in a fixed order: 16 vec4 columns a workgroup, 8 invocations a column
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x = 16, local_size_y = 8) in;
READ_VALUES(0, DLogits, d_logits)                                            // [rows, columns] of this call
layout(set = 0, binding = 1) buffer DBias { vec4 d_bias[]; };                // [1, vocabulary]
layout(set = 0, binding = 2) readonly buffer Gate { uint gate[]; };          // [1, 1]
layout(push_constant) uniform Push {
  uint rows;      // of this call
  uint columns;   // of this call
  uint column4;   // where they stand in d_bias
  uint add;       // 1: add to an earlier chunk's sums
  uint gate_from; // above 0: nothing is done unless gate[0] is above this
};
shared vec4 part[8][16];

void main() {
  if (gate_from > 0 && gate[0] <= gate_from) return;
  uint k = linear_group() * 16 + gl_LocalInvocationID.x, lane = gl_LocalInvocationID.y;
  uint stride4 = row_vec4s(columns, TYPE_OF(0)), columns4 = (columns + 3) / 4;
  vec4 sum = vec4(0.0);
  if (k < columns4)
    for (uint row = lane; row < rows; row += 8) sum += d_logits(row * stride4 + k);
  part[lane][gl_LocalInvocationID.x] = sum;
  [[unroll]] for (uint reach = 4; reach > 0; reach /= 2) {
    barrier();
    if (lane < reach) part[lane][gl_LocalInvocationID.x] += part[lane + reach][gl_LocalInvocationID.x];
  }
  if (lane != 0 || k >= columns4) return;
  sum = part[0][gl_LocalInvocationID.x];
  if (add != 0) sum += d_bias[column4 + k];
  d_bias[column4 + k] = sum;
}
