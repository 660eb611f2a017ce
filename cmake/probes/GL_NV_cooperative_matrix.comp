#version 450
#pragma use_vulkan_memory_model
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_NV_cooperative_matrix : require
layout(local_size_x = 32) in;
layout(set = 0, binding = 0) buffer Values { uvec4 values[]; };

void main() {
  fcoopmatNV<16, gl_ScopeSubgroup, 16, 16> a;
  coopMatLoadNV(a, values, 0, 2, false);
  coopMatStoreNV(a, values, 0, 2, false);
}
