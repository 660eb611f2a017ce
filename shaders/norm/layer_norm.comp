#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
//! variant layer_norm
//! variant layer_norm_subgroup SUBGROUP=1
// y = (x - mean) rstd weight + bias, row by row; stats [N, 2] = {mean, rstd}. The variance is summed around the mean. A row that kHeld
// vec4s an invocation can hold is read once and kept in registers, a longer one is read again for each of three passes.
#include "columns.glsl"
#include "grid.glsl"
#include "row_reduce.glsl"
#include "values.glsl"
layout(constant_id = 2) const uint kHeld = 0;  // 0: the row is not kept
READ_VALUES(0, X, x)
layout(set = 0, binding = 1) readonly buffer Weight { vec4 weight[]; };
layout(set = 0, binding = 2) readonly buffer Bias { vec4 bias[]; };
WRITE_VALUES(3, Y, y)
layout(set = 0, binding = 4) writeonly buffer Stats { vec4 stats[]; };
layout(push_constant) uniform Push { uint rows, columns; float eps; };

float across(vec4 v) { return (v.x + v.y) + (v.z + v.w); }

// weight and bias are zero in padding, and so is y; of a 16-bit row some padding has no weight.
vec4 affine(vec4 normed, uint c) {
  return TYPE_OF(0) == kFp32 || c < (columns + 3) / 4 ? normed * weight[c] + bias[c] : vec4(0);
}

void main() {
  uint row = linear_group() * rows_per_group() + row_in_group();
  uint width = row < rows ? row_vec4s(columns, TYPE_OF(0)) : 0;  // y has the type of x
  uint base = row * width;
  vec4 held[kHeld > 0 ? kHeld : 1];
  vec4 sum = vec4(0), square = vec4(0);
  if (kHeld > 0) {
    [[unroll]] for (uint k = 0; k < kHeld; ++k) {
      uint c = row_lane() + k * kLanes;
      held[k] = c < width ? x(base + c) : vec4(0);
      sum += held[k];  // padding adds zero
    }
  } else {
    for (uint c = row_lane(); c < width; c += kLanes) sum += x(base + c);
  }
  float mean = row_sum(vec2(across(sum), 0)).x / float(columns);
  if (kHeld > 0) {
    [[unroll]] for (uint k = 0; k < kHeld; ++k) {
      held[k] = within_columns(held[k] - mean, row_lane() + k * kLanes, columns);
      square += held[k] * held[k];
    }
  } else {
    for (uint c = row_lane(); c < width; c += kLanes) {
      vec4 centred = within_columns(x(base + c) - mean, c, columns);
      square += centred * centred;
    }
  }
  float variance = row_sum(vec2(across(square), 0)).x / float(columns);
  float rstd = inversesqrt(variance + eps);
  if (kHeld > 0) {
    [[unroll]] for (uint k = 0; k < kHeld; ++k) {
      uint c = row_lane() + k * kLanes;
      if (c < width) set_y(base + c, affine(held[k] * rstd, c));
    }
  } else {
    for (uint c = row_lane(); c < width; c += kLanes) set_y(base + c, affine((x(base + c) - mean) * rstd, c));
  }
  if (row < rows && row_lane() == 0) stats[row] = vec4(mean, rstd, 0, 0);
}
