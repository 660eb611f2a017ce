#version 450
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_KHR_shader_subgroup_arithmetic : require
// Per invocation: the subgroup's size, the index of lane 1 and the number of lanes.
layout(local_size_x_id = 0) in;
layout(std430, binding = 0) writeonly buffer Seen { uint seen[]; };

void main() {
  uint i = gl_LocalInvocationIndex;
  seen[3 * i] = gl_SubgroupSize;
  seen[3 * i + 1] = subgroupShuffle(gl_SubgroupInvocationID, 1u);
  seen[3 * i + 2] = subgroupAdd(1u);
}
