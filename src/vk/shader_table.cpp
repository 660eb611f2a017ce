#include "vk/shader_table.hpp"

#include "vk/khr_matrix.hpp"

namespace fabula::vk {

const ShaderBinary* find_shader(std::string_view name) {
  for (const ShaderBinary& shader : shader_table()) {
    if (shader.name == name) return &shader;
  }
  return nullptr;
}

std::vector<std::uint32_t> device_words(const ShaderBinary& shader) {
  if (shader.rewriting == Rewriting::kNone) return {shader.begin, shader.end};
  return khr_from_nv_matrices({shader.begin, shader.end}, shader.rewriting == Rewriting::kKhrBf16);
}

}  // namespace fabula::vk
