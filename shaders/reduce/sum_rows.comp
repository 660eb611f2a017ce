#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// y[c] = sum of the rows [c * chunk, (c + 1) * chunk) of x: one stage of the column sums. A workgroup takes 16 vec4 columns of one
// chunk; 8 invocations share a column, and their sums are added in a fixed tree.
//! variant sum_rows_storage
//! variant sum_rows_texel TEXELS
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x = 16, local_size_y = 8) in;
#ifdef TEXELS
layout(set = 0, binding = 0) uniform samplerBuffer x;
#define LOAD_X(i) texelFetch(x, int(i))
#define X_TYPE kFp32
#else
READ_VALUES(0, X, x)
#define LOAD_X(i) x(i)
#define X_TYPE TYPE_OF(0)
#endif
layout(set = 0, binding = 1) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push {
  uint rows, columns;  // of x
  uint chunk;          // rows of x that become one row of y
  uint y_row;          // the first row to write
};
shared vec4 part[8][16];

void main() {
  uint stride = row_vec4s(columns, kFp32), x_stride = row_vec4s(columns, X_TYPE);
  uint across = (stride + 15) / 16;
  uint group = linear_group();
  uint number = group / across, col4 = group % across * 16 + gl_LocalInvocationID.x;
  uint lane = gl_LocalInvocationID.y;
  uint end = min((number + 1) * chunk, rows);
  vec4 sum = vec4(0);
  if (col4 < stride) {
    uint row = number * chunk + lane;
    for (; row + 56 < end; row += 64) {  // eight loads under way at a time
      vec4 v[8];
      [[unroll]] for (uint k = 0; k < 8; ++k) v[k] = LOAD_X((row + 8 * k) * x_stride + col4);
      sum += ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
    }
    for (; row < end; row += 8) sum += LOAD_X(row * x_stride + col4);
  }
  part[lane][gl_LocalInvocationID.x] = sum;
  [[unroll]] for (uint half_size = 4; half_size > 0; half_size /= 2) {
    barrier();
    if (lane < half_size) part[lane][gl_LocalInvocationID.x] += part[lane + half_size][gl_LocalInvocationID.x];
  }
  if (lane == 0 && col4 < stride && number * chunk < rows) y[(y_row + number) * stride + col4] = part[0][gl_LocalInvocationID.x];
}
