#version 450
#extension GL_GOOGLE_include_directive : require
// y = sum over the pieces of K, in their order (+ bias) (+ residual): the second stage of a matmul whose K was split.
#include "grid.glsl"
#define GATED_ID 0
#define OUTPUT_BINDING 1
#include "matmul_output.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer Pieces { vec4 pieces[]; };  // [splits * rows, N]

void main() {
  uint id = linear_group() * 128 + gl_LocalInvocationID.x;
  uint across = (cols + 3) / 4;
  uint row = id / across, col4 = id % across;
  if (row >= rows || gate_closed()) return;
  vec4 sum = vec4(0);
  uint at = row * y_stride + y_column + col4;
  for (uint s = 0; s < splits; ++s) sum += pieces[s * rows * y_stride + at];
  store_y(0, row, col4, sum + load_bias(col4));
}
