#version 450
#extension GL_GOOGLE_include_directive : require
// Stage 2: partial j of 256 = sum of the chunks j, j + 256, ... in order; marked when one of them is.
#include "grid.glsl"
#include "numbers.glsl"
#include "nonfinite.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer Sums { float sums[]; };
layout(set = 0, binding = 1) writeonly buffer Norm { float norm[256]; };
layout(push_constant) uniform Push { uint chunks; };

void main() {
  uint j = linear_group() * 128 + gl_LocalInvocationID.x;
  if (j >= 256) return;
  float total = 0;
  bool seen = false;
  for (uint chunk = j; chunk < chunks; chunk += 256) {
    seen = seen || sums[chunk] < 0.0;
    total += sums[chunk];
  }
  norm[j] = mark_nonfinite(total, seen);
}
