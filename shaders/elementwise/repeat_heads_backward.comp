#version 450
#extension GL_GOOGLE_include_directive : require
// d_x[n, head h] = sum over r of d_y[n, head h repeats + r]
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
layout(constant_id = 0) const bool kWhole = false;  // a head is a number of vec4s
READ_VALUES(0, DY, d_y)
WRITE_VALUES(1, DX, d_x)
layout(push_constant) uniform Push { uint rows, columns, x_columns, size, repeats; };  // columns of d_y, of d_x, of a head

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint width = row_vec4s(x_columns, TYPE_OF(1)), row = i / width, first = i % width * 4;
  if (row >= rows) return;
  uint base = row * row_vec4s(columns, TYPE_OF(0));
  vec4 sum = vec4(0);
  if (kWhole) {
    uint c = first / size * size * repeats + first % size;
    if (first < x_columns)
      for (uint r = 0; r < repeats; ++r) sum += d_y(base + (c + r * size) / 4);
  } else {
    for (uint k = 0; k < 4 && first + k < x_columns; ++k) {
      uint c = (first + k) / size * size * repeats + (first + k) % size;
      for (uint r = 0; r < repeats; ++r) sum[k] += d_y(base + (c + r * size) / 4)[(c + r * size) % 4];
    }
  }
  set_d_x(i, sum);
}
