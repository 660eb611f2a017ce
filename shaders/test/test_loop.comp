#version 450
// Two loops after each other; seen[2i] = the iterations that ran, seen[2i+1] = a value that depends on every one of them.
// lavapipe ends loops silently once an invocation has spent 65,535 iterations over all of them.
layout(local_size_x = 8) in;
layout(std430, binding = 0) buffer Seen { uint seen[]; };
layout(push_constant) uniform Push { uint first, second; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  uint state = seen[2 * i + 1];
  uint ran = 0;
  for (uint k = 0; k < first; ++k) {
    state = state * 1664525u + 1013904223u;
    ++ran;
  }
  for (uint k = 0; k < second; ++k) {
    state = (state ^ (state >> 7)) * 22695477u + 1u;
    ++ran;
  }
  seen[2 * i] = ran;
  seen[2 * i + 1] = state;
}
