#version 450
#extension GL_GOOGLE_include_directive : require
//! variant dropout
//! variant dropout_residual RESIDUAL=1
// y = residual + keep x / (1 - p), keep where a 32-bit random word >= p 2^32. Word k of the Philox block with counter
// {vec4 index, stream, step} decides column 4 c + k of the row: vec4 index = row * (row stride / 4) + c, padding included.
#include "grid.glsl"
#include "philox.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer Seed { uvec4 seed; };  // {key low, key high, step low, step high}
READ_VALUES(1, X, x)
WRITE_VALUES(2, Y, y)
#ifdef RESIDUAL
READ_VALUES(3, Residual, residual)
#endif
layout(push_constant) uniform Push { uint vec4_count, first, stream, threshold; float scale; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i >= vec4_count) return;
  uvec4 draw = philox4x32(uvec4(first + i, stream, seed.zw), seed.xy);
  vec4 kept = mix(vec4(0), x(i) * scale, greaterThanEqual(draw, uvec4(threshold)));
#ifdef RESIDUAL
  set_y(i, residual(i) + kept);
#else
  set_y(i, kept);
#endif
}
