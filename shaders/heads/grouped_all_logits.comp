#version 450
#extension GL_GOOGLE_include_directive : require
// z[r, i] = scale[at] u[r, slot] + shift[at] + residual[r, column] for every token i behind the first level, at = g S + slot =
// places[2 i] and column = places[2 i + 1]; parts not given are left out. A place that cannot be gives NaN.
#include "grid.glsl"
#include "numbers.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer U { float u[]; };                // rows of this call, [rows, S]
layout(set = 0, binding = 1) readonly buffer Scale { float scale[]; };        // groups of this call, [groups, S]
layout(set = 0, binding = 2) readonly buffer Shift { float shift[]; };        // groups of this call, [groups, S]
layout(set = 0, binding = 3) readonly buffer Residual { float residual[]; };  // rows of this call, [rows, Z]
layout(set = 0, binding = 4) readonly buffer Places { uvec2 places[]; };      // [1, 2 M]
layout(set = 0, binding = 5) writeonly buffer Z { uint z_bits[]; };           // rows of this call, [rows, M], floats
layout(push_constant) uniform Push {
  uint rows;              // of this call
  uint slots;             // S
  uint first_group;       // of this call
  uint end_group;         // of this call
  uint groups;            // of all calls
  uint tokens;            // M
  uint residual_columns;  // Z
  uint has_u, has_scale, has_residual;
};
uint padded(uint columns) { return (columns + 3) / 4 * 4; }

void main() {
  uint stride = padded(tokens), blocks = (stride + 127) / 128;
  uint row = linear_group() / blocks, i = linear_group() % blocks * 128 + gl_LocalInvocationID.x;
  if (row >= rows || i >= stride) return;
  uvec2 place = i < tokens ? places[i] : uvec2(kNone);
  uint group = place.x / slots, slot = place.x % slots;
  bool valid = group < groups && (has_residual == 0 || place.y < residual_columns);
  // Padding and places that cannot be belong to the call that holds the first group.
  if (valid ? group < first_group || group >= end_group : first_group != 0u) return;
  uint bits = i < tokens ? kNanBits : 0u;
  if (valid) {
    uint table = (group - first_group) * padded(slots) + slot;
    float z = 0.0;
    if (has_u != 0) z = u[row * padded(slots) + slot];
    if (has_scale != 0) z *= scale[table];
    z += shift[table];
    if (has_residual != 0) z += residual[row * padded(residual_columns) + place.y];
    bits = floatBitsToUint(z);
  }
  z_bits[row * stride + i] = bits;
}
