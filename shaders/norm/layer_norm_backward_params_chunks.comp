#version 450
#extension GL_GOOGLE_include_directive : require
//! variant layer_norm_backward_params_chunks
//! variant rms_norm_backward_params_chunks RMS=1
// d_weight = sum over positions of d_y (x - mean) rstd, d_bias = sum of d_y. Stage 1 of 2: one row of sums for each chunk of positions,
// an invocation for each vec4 of columns and chunk.
// With RMS: d_weight = sum of d_y x rstd alone.
#include "columns.glsl"
#include "grid.glsl"
#include "norm.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint kChunk = 64;  // positions
READ_VALUES(0, X, x)
layout(set = 0, binding = 1) readonly buffer Stats { vec4 stats[]; };
READ_VALUES(2, DY, d_y)
layout(set = 0, binding = 3) writeonly buffer Sums { vec4 sums[]; };  // a row for each chunk: d_weight, then d_bias
layout(push_constant) uniform Push { uint rows, columns, first_chunk; };

void main() {
  uint width = row_vec4s(columns, kFp32), x_width = row_vec4s(columns, TYPE_OF(0));
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint chunk = i / width, c = i % width;
  if (chunk * kChunk >= rows) return;
  vec4 d_weight = vec4(0), d_bias = vec4(0);
  uint end = min(rows, (chunk + 1) * kChunk);
  for (uint row = chunk * kChunk; row < end; ++row) {
    vec2 mean_rstd = MEAN_RSTD(stats[row]);
    vec4 d = d_y(row * x_width + c);
    d_bias += d;
    d_weight += d * ((x(row * x_width + c) - mean_rstd.x) * mean_rstd.y);
  }
  uint to = (first_chunk + chunk) * NORM_SUMS * width + c;
  sums[to] = within_columns(d_weight, c, columns);
#ifndef RMS
  sums[to + width] = d_bias;
#endif
}
