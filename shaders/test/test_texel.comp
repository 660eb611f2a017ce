#version 450
// sums[i] = the sum of texel i's four numbers.
layout(local_size_x = 32) in;
layout(binding = 0) uniform samplerBuffer texels;
layout(std430, binding = 1) writeonly buffer Sums { float sums[]; };
layout(push_constant) uniform Push { uint count; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i >= count) return;
  vec4 v = texelFetch(texels, int(i));
  sums[i] = v.x + v.y + v.z + v.w;
}
