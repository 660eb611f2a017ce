#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
//! variant layer_norm_backward_fused
//! variant layer_norm_backward_fused_subgroup SUBGROUP=1
//! variant rms_norm_backward_fused RMS=1
//! variant rms_norm_backward_fused_subgroup RMS=1 SUBGROUP=1
// d_x = d_residual + rstd (g - mean(g) - h mean(g h)), g = d_y weight, h = (x - mean) rstd; and for each chunk of kChunk positions the
// sums of d_y h and of d_y, which layer_norm_backward_params_sum adds up to d_weight and d_bias. A workgroup takes a chunk; an
// invocation keeps its columns' sums in registers while it walks the positions.
// With RMS: d_x = d_residual + rstd (g - h mean(g h)), h = x rstd, and no sums of d_y.
#include "columns.glsl"
#include "grid.glsl"
#include "norm.glsl"
#include "row_reduce.glsl"
#include "values.glsl"
layout(constant_id = 2) const uint kHeld = 1;  // vec4s of a row that an invocation takes
layout(constant_id = 3) const uint kChunk = 32;
layout(constant_id = 4) const bool kResidual = false;
READ_VALUES(0, X, x)
layout(set = 0, binding = 1) readonly buffer Weight { vec4 weight[]; };
layout(set = 0, binding = 2) readonly buffer Stats { vec4 stats[]; };
READ_VALUES(3, DY, d_y)
WRITE_VALUES(4, DX, d_x)
layout(set = 0, binding = 5) writeonly buffer Sums { vec4 sums[]; };  // a row for each chunk: d_weight, then d_bias
READ_VALUES(6, DResidual, d_residual)
layout(push_constant) uniform Push { uint rows, columns, first_chunk; };
shared vec4 folded[kSize];

float across(vec4 v) { return (v.x + v.y) + (v.z + v.w); }

// The sum over the rows of the workgroup, for the invocations of its first row.
vec4 fold(vec4 value) {
  if (kSize == kLanes) return value;
  folded[row_self()] = value;
  barrier();
  if (row_in_group() == 0) {
    for (uint other = 1; other < kSize / kLanes; ++other) value += folded[other * kLanes + row_lane()];
  }
  barrier();
  return value;
}

void main() {
  uint chunk = linear_group(), width = row_vec4s(columns, TYPE_OF(0)), sums_width = row_vec4s(columns, kFp32);
  vec4 scale[kHeld], d_weight[kHeld], d_bias[kHeld];
  [[unroll]] for (uint k = 0; k < kHeld; ++k) {
    uint c = row_lane() + k * kLanes;
    scale[k] = c < sums_width ? weight[c] : vec4(0);
    d_weight[k] = vec4(0);
    d_bias[k] = vec4(0);
  }
  for (uint step = 0; step < kChunk; step += rows_per_group()) {
    uint row = chunk * kChunk + step + row_in_group();
    uint base = row * width;
    bool inside = step + row_in_group() < kChunk && row < rows;
    vec2 mean_rstd = inside ? MEAN_RSTD(stats[row]) : vec2(0);
    vec4 h[kHeld], g[kHeld], residual[kHeld];
    vec4 sum_g = vec4(0), sum_gh = vec4(0);
    [[unroll]] for (uint k = 0; k < kHeld; ++k) {
      uint c = row_lane() + k * kLanes;
      bool exists = inside && c < width;
      vec4 d = exists ? d_y(base + c) : vec4(0);
      h[k] = exists ? (x(base + c) - mean_rstd.x) * mean_rstd.y : vec4(0);
      residual[k] = kResidual && exists ? d_residual(base + c) : vec4(0);
      d_bias[k] += d;
      d_weight[k] += d * h[k];
      g[k] = d * scale[k];  // zero in padding, as d is
      sum_g += g[k];
      sum_gh += g[k] * h[k];
    }
    vec2 mean_g_gh = row_sum(vec2(across(sum_g), across(sum_gh))) / float(columns);
    [[unroll]] for (uint k = 0; k < kHeld; ++k) {
      uint c = row_lane() + k * kLanes;
      if (inside && c < width)
        set_d_x(base + c, residual[k] + within_columns((g[k] - MEAN_G(mean_g_gh) - h[k] * mean_g_gh.y) * mean_rstd.y, c, columns));
    }
  }
  uint to = (first_chunk + chunk) * NORM_SUMS * sums_width;
  [[unroll]] for (uint k = 0; k < kHeld; ++k) {
    uint c = row_lane() + k * kLanes;
#ifdef RMS
    vec4 weight_sum = fold(d_weight[k]);
    if (row_in_group() == 0 && c < sums_width) sums[to + c] = weight_sum;
#else
    vec4 weight_sum = fold(d_weight[k]), bias_sum = fold(d_bias[k]);
    if (row_in_group() != 0 || c >= sums_width) continue;
    sums[to + c] = weight_sum;  // d_y is zero in padding, and so are both
    sums[to + sums_width + c] = bias_sum;
#endif
  }
}
