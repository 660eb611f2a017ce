#version 450
#extension GL_GOOGLE_include_directive : require
// d_weight and d_bias [1, D]: stage 2 of 2, the chunks' rows summed. kLanes invocations share a vec4 of columns: each sums every
// kLanes-th chunk, then they add up in a tree.
#include "grid.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kSize = 128;
layout(constant_id = 1) const uint kLanes = 32;
layout(set = 0, binding = 0) readonly buffer WeightChunks { vec4 weight_chunks[]; };
layout(set = 0, binding = 1) readonly buffer BiasChunks { vec4 bias_chunks[]; };
layout(set = 0, binding = 2) writeonly buffer DWeight { vec4 d_weight[]; };
layout(set = 0, binding = 3) writeonly buffer DBias { vec4 d_bias[]; };
layout(push_constant) uniform Push { uint chunks, width; };
const uint kColumns = kSize / kLanes;  // neighbours read neighbouring columns
shared vec4 weight_partial[kSize];
shared vec4 bias_partial[kSize];

void main() {
  uint self = gl_LocalInvocationID.x, lane = self / kColumns;
  uint c = linear_group() * kColumns + self % kColumns;
  vec4 weight_sum = vec4(0), bias_sum = vec4(0);
  if (c < width) {
    for (uint chunk = lane; chunk < chunks; chunk += kLanes) {
      weight_sum += weight_chunks[chunk * width + c];
      bias_sum += bias_chunks[chunk * width + c];
    }
  }
  if (kLanes > 1) {
    weight_partial[self] = weight_sum;
    bias_partial[self] = bias_sum;
    barrier();
    for (uint reach = kLanes / 2; reach > 0; reach /= 2) {
      if (lane < reach) {
        weight_partial[self] += weight_partial[self + reach * kColumns];
        bias_partial[self] += bias_partial[self + reach * kColumns];
      }
      barrier();
    }
    weight_sum = weight_partial[self];
    bias_sum = bias_partial[self];
  }
  if (lane == 0 && c < width) {
    d_weight[c] = weight_sum;
    d_bias[c] = bias_sum;
  }
}
