#version 450
#extension GL_GOOGLE_include_directive : require
// log_p[r, v] = a[r, class] + (z[r, i] - log_sum[r, g]), class = K + g and i = the token's compact index; a[r, class] alone for a token
// that is a class of the first level. An entry that cannot be gives NaN.
#include "grid.glsl"
#include "numbers.glsl"
layout(local_size_x = 128) in;  // one vec4 of log_p an invocation
layout(set = 0, binding = 0) readonly buffer A { float a[]; };               // rows of this call, [rows, K + G], log-probabilities
layout(set = 0, binding = 1) readonly buffer Z { float z[]; };               // rows of this call, [rows, M]
layout(set = 0, binding = 2) readonly buffer LogSum { float log_sum[]; };    // rows of this call, [rows, G]
layout(set = 0, binding = 3) readonly buffer Entries { uvec2 entries[]; };   // [1, 2 V]: class, compact index or kNone
layout(set = 0, binding = 4) writeonly buffer LogP { uvec4 log_p_bits[]; };  // rows of this call, [rows, V], floats
layout(push_constant) uniform Push {
  uint rows;       // of this call
  uint shortlist;  // K
  uint groups;     // G
  uint members;    // M
  uint tokens;     // V
};
uint padded(uint columns) { return (columns + 3) / 4 * 4; }

uint log_p_of(uint row, uvec2 entry) {
  uint classes = shortlist + groups;
  bool grouped = entry.y != kNone;
  if (entry.x >= classes || (grouped && (entry.x < shortlist || entry.y >= members))) return kNanBits;
  float log_p = a[row * padded(classes) + entry.x];
  if (grouped) log_p += z[row * padded(members) + entry.y] - log_sum[row * padded(groups) + entry.x - shortlist];
  return floatBitsToUint(log_p);
}

void main() {
  uint at = linear_group() * 128 + gl_LocalInvocationID.x, stride4 = (tokens + 3) / 4;
  if (at >= rows * stride4) return;
  uvec4 bits = uvec4(0);
  for (uint i = 0; i < 4; ++i) {
    uint v = at % stride4 * 4 + i;
    if (v < tokens) bits[i] = log_p_of(at / stride4, entries[v]);
  }
  log_p_bits[at] = bits;
}
