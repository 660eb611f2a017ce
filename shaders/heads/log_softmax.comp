#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// y[r, c] = x[r, c] - log(sum_c exp(x[r, c])); a row holding a NaN or an infinity becomes NaN.
#include "grid.glsl"
#include "numbers.glsl"
#include "row_softmax.glsl"
layout(set = 0, binding = 0) readonly buffer X { vec4 x[]; };    // rows of this call, [rows, columns]
layout(set = 0, binding = 1) writeonly buffer Y { vec4 y[]; };   // rows of this call
layout(push_constant) uniform Push {
  uint rows;    // of this call
  uint columns;
  uint shares;  // of a row's columns: each workgroup finds the row's sum and writes one of them
};
layout(constant_id = 2) const uint kAhead = 1;  // vec4s that an invocation reads at once

void add_row(inout RowStats stats, uint base, uint lane, uint full4) {
  uint k = lane;
  for (; k + (kAhead - 1) * kLanes < full4; k += kAhead * kLanes) {
    vec4 v[kAhead];
    [[unroll]] for (uint i = 0; i < kAhead; ++i) v[i] = x[base + k + i * kLanes];
    [[unroll]] for (uint i = 0; i < kAhead; ++i) add_entries(stats, v[i]);
  }
  for (; k < full4; k += kLanes) add_entries(stats, x[base + k]);
}

void main() {
  uint rows_here = gl_WorkGroupSize.x / kLanes, group = linear_group();
  uint row = group / shares * rows_here + gl_LocalInvocationID.x / kLanes, lane = lane_of_row(), share = group % shares;
  uint stride4 = (columns + 3) / 4, full4 = columns / 4, base = row * stride4;
  RowStats stats = empty_stats();
  if (row < rows) {
    add_row(stats, base, lane, full4);
    if (full4 < stride4 && lane == full4 % kLanes) add_entries(stats, x[base + full4], columns_below(4 * full4, columns));
  }
  stats = join_lanes(stats);
  if (row >= rows) return;
  float log_sum = log(stats.sum), marked = uintBitsToFloat(stats.magnitude >= kInfinityBits ? kNanBits : 0u);
  for (uint k = share * kLanes + lane; k < stride4; k += shares * kLanes) {
    vec4 v = (x[base + k] - stats.maximum) - log_sum + marked;
    y[base + k] = mix(vec4(0.0), v, columns_below(4 * k, columns));
  }
}
