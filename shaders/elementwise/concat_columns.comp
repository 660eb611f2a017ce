#version 450
#extension GL_GOOGLE_include_directive : require
// y[r, first + c] = x[r, c]: one of the matrices that stand side by side in y; the last one writes y's padding too.
#include "grid.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer X { uint x[]; };    // rows of this call, [rows, columns]
layout(set = 0, binding = 1) writeonly buffer Y { uint y[]; };   // rows of this call
layout(push_constant) uniform Push {
  uint rows, columns, x_stride, y_stride;  // strides in words
  uint first;                              // column of y
  uint written;                            // columns, and for the last matrix the padding behind them
};

void main() {
  uint blocks = (written + 127) / 128;
  uint row = linear_group() / blocks, column = linear_group() % blocks * 128 + gl_LocalInvocationID.x;
  if (row >= rows || column >= written) return;
  uint word = 0u;
  if (column < columns) word = x[row * x_stride + column];
  y[row * y_stride + first + column] = word;
}
