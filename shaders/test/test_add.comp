#version 450
// values[i] = values[i] * 3 + 1, modulo 2^32: a chain of these shows whether every one ran, once and in order.
layout(local_size_x = 64) in;
layout(std430, binding = 0) buffer Values { uint values[]; };
layout(push_constant) uniform Push { uint count; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i < count) values[i] = values[i] * 3 + 1;
}
