#version 450
#extension GL_GOOGLE_include_directive : require
// log_p[r, v] = base[r, g] + scale[g, s] u[r, s] + shift[g, s], (g, s) = place[v]: log p(g) + log p(s | g), in token id order
#include "grid.glsl"
#include "numbers.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer U { float u[]; };              // rows of this call, [rows, S]
layout(set = 0, binding = 1) readonly buffer Scale { float scale[]; };      // groups of this call, [groups, S]
layout(set = 0, binding = 2) readonly buffer Shift { float shift[]; };
layout(set = 0, binding = 3) readonly buffer Place { uint place[]; };       // [1, V]: g S + s
layout(set = 0, binding = 4) readonly buffer Base { float base[]; };        // rows of this call, [rows, G]
layout(set = 0, binding = 5) writeonly buffer LogP { float log_p[]; };      // rows of this call, [rows, V]
layout(push_constant) uniform Push {
  uint rows;         // of this call
  uint slots;        // S
  uint first_group;  // of this call
  uint end_group;    // of this call
  uint all_groups;   // G
  uint tokens;       // V
};

void main() {
  uint stride = (tokens + 3) / 4 * 4, slot_stride = (slots + 3) / 4 * 4, group_stride = (all_groups + 3) / 4 * 4;
  uint blocks = (stride + 127) / 128;
  uint row = linear_group() / blocks, v = linear_group() % blocks * 128 + gl_LocalInvocationID.x;
  if (row >= rows || v >= stride) return;
  if (v >= tokens) {
    log_p[row * stride + v] = 0.0;
    return;
  }
  uint at = place[v], group = at / slots, slot = at % slots;
  if (group < first_group || group >= end_group) return;
  uint table = (group - first_group) * slot_stride + slot;
  float z = scale[table] * u[row * slot_stride + slot] + shift[table];
  log_p[row * stride + v] = base[row * group_stride + group] + z;
}
