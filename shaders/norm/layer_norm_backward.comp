#version 450
#extension GL_GOOGLE_include_directive : require
//! variant layer_norm_backward
//! variant rms_norm_backward RMS=1
// d_x = d_residual + rstd (g - mean(g) - h mean(g h)), g = d_y weight, h = (x - mean) rstd, in two passes over the row.
// With RMS: d_x = d_residual + rstd (g - h mean(g h)), h = x rstd.
#include "columns.glsl"
#include "grid.glsl"
#include "norm.glsl"
#include "row_reduce.glsl"
#include "values.glsl"
layout(constant_id = 2) const bool kResidual = false;
READ_VALUES(0, X, x)
layout(set = 0, binding = 1) readonly buffer Weight { vec4 weight[]; };
layout(set = 0, binding = 2) readonly buffer Stats { vec4 stats[]; };
READ_VALUES(3, DY, d_y)
WRITE_VALUES(4, DX, d_x)
READ_VALUES(5, DResidual, d_residual)
layout(push_constant) uniform Push { uint rows, columns; };

// d_y weight: zero in padding; of a 16-bit row some padding has no weight.
vec4 weighted(uint base, uint c) {
  return TYPE_OF(0) == kFp32 || c < (columns + 3) / 4 ? d_y(base + c) * weight[c] : vec4(0);
}

void main() {
  uint row = linear_group() * rows_per_group() + row_in_group();
  uint width = row < rows ? row_vec4s(columns, TYPE_OF(0)) : 0;
  uint base = row * width;
  vec2 mean_rstd = row < rows ? MEAN_RSTD(stats[row]) : vec2(0);
  vec4 sum_g = vec4(0), sum_gh = vec4(0);
  for (uint c = row_lane(); c < width; c += kLanes) {
    vec4 g = weighted(base, c);
    sum_g += g;
    sum_gh += g * ((x(base + c) - mean_rstd.x) * mean_rstd.y);
  }
  vec2 mean_g_gh = row_sum(vec2((sum_g.x + sum_g.y) + (sum_g.z + sum_g.w), (sum_gh.x + sum_gh.y) + (sum_gh.z + sum_gh.w))) /
                   float(columns);
  for (uint c = row_lane(); c < width; c += kLanes) {
    vec4 h = (x(base + c) - mean_rstd.x) * mean_rstd.y;
    vec4 d = within_columns((weighted(base, c) - MEAN_G(mean_g_gh) - h * mean_g_gh.y) * mean_rstd.y, c, columns);
    if (kResidual) d += d_residual(base + c);
    set_d_x(base + c, d);
  }
}
