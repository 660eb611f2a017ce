#version 450
#extension GL_GOOGLE_include_directive : require
// AdamW with decoupled decay (Loshchilov and Hutter 2019), as torch.optim.AdamW does it. hyper = {lr, beta1, beta2, eps | 1 - beta1^t,
// 1 - beta2^t, 0, 0}; clip = {gradient scale, norm, 0, non-finite}: when a gradient is not finite nothing changes.
#include "grid.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer Hyper { vec4 hyper[2]; };
layout(set = 0, binding = 1) readonly buffer Clip { vec4 clip; };
layout(set = 0, binding = 2) buffer Param { vec4 param[]; };
layout(set = 0, binding = 3) readonly buffer Grad { vec4 grad[]; };
layout(set = 0, binding = 4) buffer M { vec4 m[]; };
layout(set = 0, binding = 5) buffer V { vec4 v[]; };
layout(push_constant) uniform Push { uint vec4_count; float decay; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  if (i >= vec4_count || clip.w != 0.0) return;
  float lr = hyper[0].x, beta1 = hyper[0].y, beta2 = hyper[0].z, eps = hyper[0].w;
  vec4 g = grad[i] * clip.x;
  vec4 mean = beta1 * m[i] + (1.0 - beta1) * g;
  vec4 square = beta2 * v[i] + (1.0 - beta2) * (g * g);
  vec4 p = param[i];
  p -= (lr * decay) * p;
  param[i] = p - (lr / hyper[1].x) * (mean / (sqrt(square) / sqrt(hyper[1].y) + eps));
  m[i] = mean;
  v[i] = square;
}
