#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// out = sum_s 2^(maximum_s - maximum) sums_s / sum_s 2^(maximum_s - maximum) sum_s over the splits of a row that hold keys, in the order of
// their positions. An invocation makes four columns of a row.
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD = 32;
layout(set = 0, binding = 0) readonly buffer Sums { vec4 sums[]; };  // [row, head, split]: maximum and sum, then the head
layout(set = 0, binding = 1) readonly buffer Places { uint places[]; };
WRITE_VALUES(2, Out, attended)
layout(push_constant) uniform Push {
  uint first_row, rows, heads, splits, span, window, positions, slots, slot_begin, slot_end, out_ld;
};
const uint HEAD_VECS = (HEAD + 3) / 4;

// Four columns of a head, of the splits of a row's head number `row_head` in this launch.
vec4 merged(uint row_head, uint d, uint parts) {
  uint at = row_head * splits * (HEAD_VECS + 1);
  float high = sums[at].x;
  for (uint s = 1; s < parts; ++s) high = max(high, sums[at + s * (HEAD_VECS + 1)].x);
  float total = 0;
  vec4 sum = vec4(0);
  for (uint s = 0; s < parts; ++s) {
    vec4 stats = sums[at + s * (HEAD_VECS + 1)];
    float share = exp2(max(stats.x - high, -120.0));
    total = fma(stats.y, share, total);
    sum = fma(sums[at + s * (HEAD_VECS + 1) + 1 + d], vec4(share), sum);
  }
  return sum / total;
}

void main() {
  uint x = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x, each = out_ld / 4;
  uint row = x / each, n = first_row + row, i = x % each;
  if (row >= rows) return;
  uint slot = places[4 * n], position = places[4 * n + 1];
  bool live = places[4 * n + 2] != 0 && slot < slots && position < positions;
  if (live && (slot < slot_begin || slot >= slot_end)) return;
  vec4 y = vec4(0);
  if (live) {
    uint begin = position >= window ? position - window + 1 : 0;
    uint parts = splits == 1 ? 1 : position / span - begin / span + 1;
    if (HEAD % 4 == 0) {
      if (i < heads * HEAD_VECS) y = merged(row * heads + i / HEAD_VECS, i % HEAD_VECS, parts);
    } else {
      for (uint c = 0; c < 4; ++c) {
        uint column = 4 * i + c, e = column % HEAD;
        if (column < heads * HEAD) y[c] = merged(row * heads + column / HEAD, e / 4, parts)[e % 4];
      }
    }
  }
  set_attended(n * each + i, y);
}
