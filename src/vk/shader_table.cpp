#include "vk/shader_table.hpp"

namespace fabula::vk {

const ShaderBinary* find_shader(std::string_view name) {
  for (const ShaderBinary& shader : shader_table()) {
    if (shader.name == name) return &shader;
  }
  return nullptr;
}

}  // namespace fabula::vk
