#version 450
#extension GL_GOOGLE_include_directive : require
// y[r] = the largest of x[r, :]; a row holding a NaN or an infinity gives NaN.
#include "grid.glsl"
#include "numbers.glsl"
#include "row_softmax.glsl"
layout(set = 0, binding = 0) readonly buffer X { vec4 x[]; };        // rows of this call, [rows, columns]
layout(set = 0, binding = 1) writeonly buffer Y { uint y_bits[]; };  // [1, all rows], floats
layout(push_constant) uniform Push {
  uint rows;       // of this call
  uint first_row;  // of this call
  uint all_rows;   // of all calls
  uint columns;
};

void add_largest(inout RowStats stats, vec4 v) {
  stats.magnitude = max(stats.magnitude, magnitude_bits(v));
  stats.maximum = max(max(stats.maximum, max(v.x, v.y)), max(v.z, v.w));
}

void main() {
  uint row = row_of_call(), lane = lane_of_row(), stride4 = (columns + 3) / 4, base = row * stride4;
  RowStats stats = empty_stats();
  if (row < rows) {
    for (uint k = lane; k < columns / 4; k += kLanes) add_largest(stats, x[base + k]);
    if (columns % 4 != 0 && lane == columns / 4 % kLanes) {
      vec4 v = x[base + columns / 4];
      add_largest(stats, mix(v.xxxx, v, columns_below(columns / 4 * 4, columns)));
    }
  }
  stats = join_lanes(stats);
  if (row >= rows || lane != 0) return;
  uint at = first_row + row;
  y_bits[at] = stats.magnitude >= kInfinityBits ? kNanBits : floatBitsToUint(stats.maximum);
  if (at + 1 == all_rows) {
    for (uint n = all_rows; n % 4 != 0; ++n) y_bits[n] = 0u;
  }
}
