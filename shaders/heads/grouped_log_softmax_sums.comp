#version 450
#extension GL_GOOGLE_include_directive : require
// log_sum[r, g] = log(sum over the members i of group g of exp(z[r, i])); NaN when there are none or one of them is not finite
#include "grid.glsl"
#include "numbers.glsl"
#include "row_softmax.glsl"
layout(set = 0, binding = 0) readonly buffer Z { float z[]; };                  // rows of this call, [rows, M]
layout(set = 0, binding = 1) readonly buffer Starts { uint starts[]; };         // [1, G + 1]: the first member of each group, and M
layout(set = 0, binding = 2) writeonly buffer LogSum { uint log_sum_bits[]; };  // rows of this call, [rows, G], floats
layout(push_constant) uniform Push {
  uint rows;     // of this call
  uint groups;   // G
  uint members;  // M
};

void main() {
  uint stride = (groups + 3) / 4 * 4;
  uint row = row_of_call() / stride, group = row_of_call() % stride, lane = lane_of_row();
  RowStats stats = empty_stats();
  if (row < rows && group < groups) {
    uint base = row * ((members + 3) / 4 * 4), end = min(starts[group + 1], members);
    for (uint i = starts[group] + 4 * lane; i < end; i += 4 * kLanes) {
      uvec4 at = uvec4(base) + min(uvec4(i) + uvec4(0, 1, 2, 3), uvec4(end - 1));
      add_entries(stats, vec4(z[at.x], z[at.y], z[at.z], z[at.w]), columns_below(i, end));
    }
  }
  stats = join_lanes(stats);
  if (row >= rows || lane != 0) return;
  bool bad = stats.sum <= 0.0 || stats.magnitude >= kInfinityBits;
  uint bits = bad ? kNanBits : floatBitsToUint(stats.maximum + log(stats.sum));
  log_sum_bits[row * stride + group] = group < groups ? bits : 0u;
}
