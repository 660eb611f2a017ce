#version 450
#extension GL_GOOGLE_include_directive : require
// y[r, c] = x[r, c] - log(sum_c exp(x[r, c])); a row holding a NaN or an infinity becomes NaN.
#include "grid.glsl"
#include "numbers.glsl"
#include "row_softmax.glsl"
layout(set = 0, binding = 0) readonly buffer X { vec4 x[]; };    // rows of this call, [rows, columns]
layout(set = 0, binding = 1) writeonly buffer Y { vec4 y[]; };   // rows of this call; may be X
layout(push_constant) uniform Push {
  uint rows;  // of this call
  uint columns;
};

void main() {
  uint row = row_of_call(), lane = lane_of_row();
  uint stride4 = (columns + 3) / 4, full4 = columns / 4, base = row * stride4;
  RowStats stats = empty_stats();
  if (row < rows) {
    for (uint k = lane; k < full4; k += kLanes) add_entries(stats, x[base + k]);
    if (full4 < stride4 && lane == full4 % kLanes) add_entries(stats, x[base + full4], columns_below(4 * full4, columns));
  }
  stats = join_lanes(stats);
  if (row >= rows) return;
  float log_sum = log(stats.sum), marked = uintBitsToFloat(stats.magnitude >= kInfinityBits ? kNanBits : 0u);
  for (uint k = lane; k < stride4; k += kLanes) {
    vec4 v = (x[base + k] - stats.maximum) - log_sum + marked;
    y[base + k] = mix(vec4(0.0), v, columns_below(4 * k, columns));
  }
}
