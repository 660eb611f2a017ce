#version 450
#extension GL_GOOGLE_include_directive : require
//! variant layer_norm_backward_params_sum
//! variant rms_norm_backward_params_sum RMS=1
// d_weight and d_bias [1, D]: stage 2 of 2, the chunks' rows summed. kLanes invocations share a vec4 of columns: each sums every
// kLanes-th chunk, then they add up in a tree. With RMS there is no d_bias.
#include "grid.glsl"
#include "norm.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kSize = 128;
layout(constant_id = 1) const uint kLanes = 16;
layout(set = 0, binding = 0) readonly buffer Sums { vec4 sums[]; };  // a row for each chunk: d_weight, then d_bias
layout(set = 0, binding = 1) writeonly buffer DWeight { vec4 d_weight[]; };
#ifndef RMS
layout(set = 0, binding = 2) writeonly buffer DBias { vec4 d_bias[]; };
#endif
layout(push_constant) uniform Push { uint chunks, width; };  // width: vec4s of D
const uint kColumns = kSize / kLanes;                        // neighbours read neighbouring columns
shared vec4 partial[kSize];

void main() {
  uint self = gl_LocalInvocationID.x, lane = self / kColumns;
  uint c = linear_group() * kColumns + self % kColumns;
  vec4 sum = vec4(0);
  if (c < NORM_SUMS * width)
    for (uint chunk = lane; chunk < chunks; chunk += kLanes) sum += sums[chunk * NORM_SUMS * width + c];
  if (kLanes > 1) {
    partial[self] = sum;
    barrier();
    for (uint reach = kLanes / 2; reach > 0; reach /= 2) {
      if (lane < reach) partial[self] += partial[self + reach * kColumns];
      barrier();
    }
    sum = partial[self];
  }
  if (lane != 0 || c >= NORM_SUMS * width) return;
#ifdef RMS
  d_weight[c] = sum;
#else
  if (c < width) {
    d_weight[c] = sum;
  } else {
    d_bias[c - width] = sum;
  }
#endif
}
