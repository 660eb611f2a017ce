#version 450
#extension GL_GOOGLE_include_directive : require
// y[n, head h] = x[n, head h / repeats]
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
layout(constant_id = 0) const bool kWhole = false;  // a head is a number of vec4s
READ_VALUES(0, X, x)
WRITE_VALUES(1, Y, y)
layout(push_constant) uniform Push { uint rows, columns, x_columns, size, repeats; };  // columns of y, of x, of a head

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint width = row_vec4s(columns, TYPE_OF(1)), row = i / width, first = i % width * 4;
  if (row >= rows) return;
  uint base = row * row_vec4s(x_columns, TYPE_OF(0));
  vec4 v = vec4(0);
  if (kWhole) {
    if (first < columns) v = x(base + (first / (size * repeats) * size + first % size) / 4);
  } else {
    for (uint k = 0; k < 4 && first + k < columns; ++k) {
      uint c = (first + k) / (size * repeats) * size + (first + k) % size;
      v[k] = x(base + c / 4)[c % 4];
    }
  }
  set_y(i, v);
}
