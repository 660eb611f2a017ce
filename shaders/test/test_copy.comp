//! variant test_copy
//! variant test_copy_wide WIDE=1
#version 450
// to[i] = from[i] * factor + bias: the smallest kernel that uses every way of passing something in. WIDE asks for more shared
// memory and invocations than the smallest device has, for tests of the limits.
#ifdef WIDE
layout(local_size_x = 256) in;
shared float scratch[256 * 32];
#else
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kScratch = 4;
shared float scratch[kScratch * 2];
#endif
layout(std430, binding = 0) readonly buffer From { float from_values[]; };
layout(std430, binding = 1) writeonly buffer To { float to_values[]; };
layout(push_constant) uniform Push {
  float factor;
  float bias;
  uint count;
};

void main() {
  uint i = gl_GlobalInvocationID.x;
  if (gl_LocalInvocationID.x == 0) scratch[0] = bias;
  barrier();
  if (i < count) to_values[i] = from_values[i] * factor + scratch[0];
}
