#version 450
#extension GL_GOOGLE_include_directive : require
// {min(1, max_norm / (norm + 1e-6)), norm, 0, 0} of the gradients whose squares sum_squares summed; {0, 0, 0, 1} when one of them was
// not finite. max_norm <= 0: scale 1. One workgroup.
#include "numbers.glsl"
#include "nonfinite.glsl"
#include "row_reduce.glsl"
layout(set = 0, binding = 0) readonly buffer Sums { vec4 sums[]; };
layout(set = 0, binding = 1) readonly buffer Bounds { vec4 limits; };
layout(set = 0, binding = 2) writeonly buffer Clip { vec4 clip; };
layout(push_constant) uniform Push { uint vec4_count; };

void main() {
  vec4 sum = vec4(0);
  bool seen = false;
  for (uint i = row_lane(); i < vec4_count; i += kLanes) {
    vec4 partial = sums[i];
    seen = seen || any(lessThan(partial, vec4(0)));
    sum += partial;
  }
  vec2 total = row_sum(vec2((sum.x + sum.y) + (sum.z + sum.w), seen ? 1.0 : 0.0));
  if (gl_LocalInvocationID.x != 0) return;
  if (total.y != 0.0 || not_finite(total.x)) {
    clip = vec4(0, 0, 0, 1);
  } else {
    float norm = sqrt(total.x);
    clip = vec4(limits.x > 0.0 ? min(1.0, limits.x / (norm + 1e-6)) : 1.0, norm, 0, 0);
  }
}
