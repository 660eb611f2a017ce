#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// log_p[r, token] = log p(class) + log p(token | class), all at once: log_softmax of the classes' scores a [R, K + G]; for the members
// i of group g, at slot i - starts[g], z = scale[g, slot] u[r, slot] + shift[g, slot] + residual[r, column] (parts not given are left
// out) and its log_softmax over the group. The first K classes are tokens themselves. A number that is not finite makes NaN of its
// group's tokens, or of all if it is a class's.
// A workgroup takes some groups of a row and finds the classes' sum anew: there are few rows.
#include "grid.glsl"
#include "numbers.glsl"
#include "row_softmax.glsl"
layout(set = 0, binding = 0) readonly buffer A { float a[]; };                 // rows of this call, [rows, K + G]
layout(set = 0, binding = 1) readonly buffer U { vec4 u[]; };                  // rows of this call, [rows, S]
layout(set = 0, binding = 2) readonly buffer Scale { vec4 scale[]; };          // [G, S]
layout(set = 0, binding = 3) readonly buffer Shift { vec4 shift[]; };          // [G, S]
layout(set = 0, binding = 4) readonly buffer Residual { float residual[]; };   // rows of this call, [rows, Z]
layout(set = 0, binding = 5) readonly buffer Starts { uint starts[]; };        // [1, G + 1]: the first member of each group, and M
layout(set = 0, binding = 6) readonly buffer Entries { uvec2 entries[]; };     // [1, 2 (K + M)]: token and column of classes, then members
layout(set = 0, binding = 7) writeonly buffer LogP { uint log_p_bits[]; };     // rows of this call, [rows, V], floats
layout(push_constant) uniform Push {
  uint rows;              // of this call
  uint shortlist;         // K
  uint groups;            // G
  uint slots;             // S
  uint members;           // M
  uint tokens;            // V
  uint residual_columns;  // Z
  uint blocks;            // workgroups of a row
  uint has_u, has_scale, has_residual;
};
uint padded(uint columns) { return (columns + 3) / 4 * 4; }
uint row, lane;

void store(uint token, float log_p, bool bad) {
  if (token < tokens) log_p_bits[row * padded(tokens) + token] = bad ? kNanBits : floatBitsToUint(log_p);
}
// Of the slots first to first + 3, first a multiple of 4; what stands behind the group's end is not to be used.
vec4 member_logits(uint group, uint begin, uint first) {
  uint table = (group * padded(slots) + first) / 4;
  vec4 z = vec4(0);
  if (has_u != 0) z = u[(row * padded(slots) + first) / 4];
  if (has_scale != 0) z *= scale[table];
  z += shift[table];
  if (has_residual == 0) return z;
  [[unroll]] for (uint q = 0; q < 4; ++q) {
    uint column = entries[shortlist + min(begin + first + q, members - 1)].y;
    z[q] = column < residual_columns ? z[q] + residual[row * padded(residual_columns) + column] : uintBitsToFloat(kNanBits);
  }
  return z;
}
// Those of a group, as far as there is room; they are needed twice.
const uint kKept = 1024;
shared float kept_logits[kKept];
float logit_again(uint group, uint begin, uint slot) {
  return slot < kKept ? kept_logits[slot] : member_logits(group, begin, slot / 4 * 4)[slot % 4];
}
// Of four entries a lane at a time: one new maximum for all of them.
uvec4 four_from(uint first) { return uvec4(first) + kLanes * uvec4(0, 1, 2, 3); }
bool bad_sum(RowStats stats) { return stats.sum <= 0.0 || stats.magnitude >= kInfinityBits; }

void main() {
  lane = gl_LocalInvocationID.x;
  row = linear_group() / blocks;
  if (row >= rows) return;
  uint block = linear_group() % blocks, classes = shortlist + groups, base = row * padded(classes);
  RowStats stats = empty_stats();
  for (uint c = lane; c < classes; c += 4 * kLanes) {
    uvec4 at = four_from(c);
    vec4 x;
    [[unroll]] for (uint q = 0; q < 4; ++q) x[q] = a[base + min(at[q], classes - 1)];
    add_entries(stats, x, lessThan(at, uvec4(classes)));
  }
  stats = join_lanes(stats);
  bool bad = bad_sum(stats);
  float class_sum = stats.maximum + log(stats.sum);
  for (uint k = block * kLanes + lane; k < shortlist; k += blocks * kLanes) store(entries[k].x, a[base + k] - class_sum, bad);
  if (block == 0 && lane < padded(tokens) - tokens) log_p_bits[row * padded(tokens) + tokens + lane] = 0u;

  for (uint group = block; group < groups; group += blocks) {
    uint begin = min(starts[group], members), end = min(min(starts[group + 1], members), begin + slots);
    uint count = max(begin, end) - begin;
    stats = empty_stats();
    barrier();  // the group before is through with what was kept
    for (uint slot = 4 * lane; slot < count; slot += 4 * kLanes) {
      vec4 z = member_logits(group, begin, slot);
      add_entries(stats, z, columns_below(slot, count));
      if (slot < kKept) {
        [[unroll]] for (uint q = 0; q < 4; ++q) kept_logits[slot + q] = z[q];
      }
    }
    stats = join_lanes(stats);
    bool bad_group = bad || bad_sum(stats);
    float less = class_sum + stats.maximum + log(stats.sum), score = a[base + shortlist + group];
    for (uint slot = lane; slot < count; slot += kLanes)
      store(entries[shortlist + begin + slot].x, score + (logit_again(group, begin, slot) - less), bad_group);
  }
}
