#version 450
#extension GL_GOOGLE_include_directive : require
// y = whole numbers of few bits times the scale of their group of 32, and its offset; with ids y[n] = row ids[n] of the table, of which rows [row_begin, row_end) are bound:
// an id outside the table gives a zero row, written by the launch that holds row 0.
#include "grid.glsl"
#include "columns.glsl"
#include "values.glsl"
#include "weights.glsl"
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint kByIds = 0;
layout(constant_id = 1) const uint kScaled = 1;
WRITE_VALUES(0, Y, y)
READ_WEIGHTS(1, Bytes, bytes)
READ_VALUES(2, Scales, scales)
layout(set = 0, binding = 3) readonly buffer Ids { uint ids[]; };
layout(constant_id = 16 + 3) const uint kIdsType = 0;  // where there are none, any value is bound
layout(push_constant) uniform Push { uint rows, first, columns, row_begin, row_end, table_rows; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint width = row_vec4s(columns, TYPE_OF(0));
  uint n = i / width, c = i % width;
  if (n >= rows) return;
  uint row = n;
  if (kByIds != 0 && kIdsType == 0) {
    uint id = ids[first + n];
    bool here = id >= row_begin && id < row_end;
    if (!here && (id < table_rows || row_begin != 0)) return;
    row = here ? id - row_begin : 0xFFFFFFFFu;
  }
  vec4 v = vec4(0);
  if (row != 0xFFFFFFFFu && c < (columns + 3) / 4) {
    v = bytes(row * weight_vec4s(columns, TYPE_OF(1)) + c);
    v = with_scale(kScaled, v, c, scales(scale_vec4(kScaled, row, columns, c, TYPE_OF(2))));
    if (TYPE_OF(1) == kU4) v = within_columns(v, c, columns);
  }
  set_y(i, v);
}
