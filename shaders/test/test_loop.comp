#version 450
// counts[i] = the number of iterations that ran of a loop with `iterations` rounds. lavapipe stops silently after 65,535.
layout(local_size_x = 8) in;
layout(std430, binding = 0) buffer Counts { uint counts[]; };
layout(push_constant) uniform Push { uint iterations; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  uint state = counts[i];  // unknown to the compiler, so that it cannot fold the loop
  uint ran = 0;
  for (uint k = 0; k < iterations; ++k) {
    state = state * 1664525u + 1013904223u;
    ran += 1u + (state >> 31) - (state >> 31);
  }
  counts[i] = state == 12345u ? ran : ran;
}
