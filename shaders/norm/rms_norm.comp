#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
//! variant rms_norm
//! variant rms_norm_subgroup SUBGROUP=1
// y = x rstd weight, rstd = 1 / sqrt(mean(x^2) + eps), row by row; stats [N, 1] = rstd. A row that kHeld vec4s an invocation can hold
// is read once and kept in registers, a longer one is read again to be scaled.
#include "grid.glsl"
#include "row_reduce.glsl"
#include "values.glsl"
layout(constant_id = 2) const uint kHeld = 0;  // 0: the row is not kept
READ_VALUES(0, X, x)
layout(set = 0, binding = 1) readonly buffer Weight { vec4 weight[]; };
WRITE_VALUES(2, Y, y)
layout(set = 0, binding = 3) writeonly buffer Stats { vec4 stats[]; };
layout(push_constant) uniform Push { uint rows, columns; float eps; };

// x and weight are zero in padding, and so is y; of a 16-bit row some padding has no weight.
vec4 weighted(vec4 normed, uint c) {
  return TYPE_OF(0) == kFp32 || c < (columns + 3) / 4 ? normed * weight[c] : vec4(0);
}

void main() {
  uint row = linear_group() * rows_per_group() + row_in_group();
  uint width = row < rows ? row_vec4s(columns, TYPE_OF(0)) : 0;  // y has the type of x
  uint base = row * width;
  vec4 held[kHeld > 0 ? kHeld : 1];
  vec4 square = vec4(0);  // padding adds zero
  if (kHeld > 0) {
    [[unroll]] for (uint k = 0; k < kHeld; ++k) {
      uint c = row_lane() + k * kLanes;
      held[k] = c < width ? x(base + c) : vec4(0);
      square += held[k] * held[k];
    }
  } else {
    for (uint c = row_lane(); c < width; c += kLanes) {
      vec4 v = x(base + c);
      square += v * v;
    }
  }
  float sum = row_sum(vec2((square.x + square.y) + (square.z + square.w), 0)).x;
  float rstd = inversesqrt(sum / float(columns) + eps);
  if (kHeld > 0) {
    [[unroll]] for (uint k = 0; k < kHeld; ++k) {
      uint c = row_lane() + k * kLanes;
      if (c < width) set_y(base + c, weighted(held[k] * rstd, c));
    }
  } else {
    for (uint c = row_lane(); c < width; c += kLanes) set_y(base + c, weighted(x(base + c) * rstd, c));
  }
  if (row < rows && row_lane() == 0) stats[row] = vec4(rstd, 0, 0, 0);
}
