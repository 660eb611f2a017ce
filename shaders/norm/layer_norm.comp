#version 450
#extension GL_GOOGLE_include_directive : require
// y = (x - mean) rstd weight + bias, row by row; stats [N, 2] = {mean, rstd}. The variance is summed around the mean (two passes).
#include "columns.glsl"
#include "grid.glsl"
#include "row_reduce.glsl"
layout(set = 0, binding = 0) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = 1) readonly buffer Weight { vec4 weight[]; };
layout(set = 0, binding = 2) readonly buffer Bias { vec4 bias[]; };
layout(set = 0, binding = 3) writeonly buffer Y { vec4 y[]; };
layout(set = 0, binding = 4) writeonly buffer Stats { vec4 stats[]; };
layout(push_constant) uniform Push { uint rows, columns; float eps; };

void main() {
  uint row = linear_group() * rows_per_group() + row_in_group();
  uint width = row < rows ? (columns + 3) / 4 : 0;
  uint base = row * width;
  vec4 sum = vec4(0);
  for (uint c = row_lane(); c < width; c += kLanes) sum += x[base + c];  // padding adds zero
  float mean = row_sum(vec2((sum.x + sum.y) + (sum.z + sum.w), 0)).x / float(columns);
  vec4 square = vec4(0);
  for (uint c = row_lane(); c < width; c += kLanes) {
    vec4 centred = within_columns(x[base + c] - mean, c, columns);
    square += centred * centred;
  }
  float variance = row_sum(vec2((square.x + square.y) + (square.z + square.w), 0)).x / float(columns);
  float rstd = inversesqrt(variance + eps);
  // weight and bias are zero in padding, and so is y.
  for (uint c = row_lane(); c < width; c += kLanes) y[base + c] = (x[base + c] - mean) * rstd * weight[c] + bias[c];
  if (row < rows && row_lane() == 0) stats[row] = vec4(mean, rstd, 0, 0);
}
