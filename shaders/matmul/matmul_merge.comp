#version 450
#extension GL_GOOGLE_include_directive : require
// y = sum over the pieces of K, in their order, then what every product does to its sum: the last stage of a matmul whose K was cut.
#include "grid.glsl"
#define GATED_ID 0
#include "matmul_output.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 6) readonly buffer Pieces { vec4 pieces[]; };  // [splits * rows, N], a_stride from row to row

void main() {
  uint id = linear_group() * 128 + gl_LocalInvocationID.x;
  uint across = row_vec4s(cols, TYPE_OF(0));
  uint row = id / across, col4 = id % across;
  if (row >= rows || gate_closed()) return;
  vec4 sum = vec4(0);
  uint at = row * a_stride + y_column + min(col4, (cols - 1) / 4);
  for (uint s = 0; s < splits; ++s) sum += pieces[s * rows * a_stride + at];
  store_y(0, row, col4, sum + load_bias(col4));
}
