#version 450
// A device's fp32 rate: eight chains of multiply-add an invocation, in registers alone; 16 operations a round and invocation.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kRounds = 1024;  // a multiple of 8
layout(set = 0, binding = 0) writeonly buffer Sink { float sink[]; };
layout(push_constant) uniform Push { float factor, term; };

void main() {
  float start = float(gl_LocalInvocationID.x);
  vec4 a = vec4(start, start + 1.0, start + 2.0, start + 3.0), b = a + 4.0;
  for (uint i = 0; i < kRounds; i += 8) {
    for (uint unrolled = 0; unrolled < 8; ++unrolled) {
      a = a * factor + term;
      b = b * factor + term;
    }
  }
  float sum = dot(a + b, vec4(1.0));
  if (sum == -1.0) sink[0] = sum;  // never with what the host passes; the compiler cannot know
}
