#version 450
#extension GL_GOOGLE_include_directive : require
// y = x, in whatever types the two are bound. An invocation writes one vec4 of y; rows may differ in their padding.
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
READ_VALUES(0, X, x)
WRITE_VALUES(1, Y, y)
layout(push_constant) uniform Push { uint rows, columns; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint x_width = row_vec4s(columns, TYPE_OF(0)), y_width = row_vec4s(columns, TYPE_OF(1));
  uint row = i / y_width, c = i % y_width;
  if (row >= rows) return;
  vec4 v = vec4(0);
  if (c < x_width) v = x(row * x_width + c);
  set_y(i, v);
}
