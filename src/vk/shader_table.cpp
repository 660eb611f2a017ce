#include "vk/shader_table.hpp"

#include <map>
#include <mutex>

#include "base/hash.hpp"
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

const ShaderInterface* shader_interface(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string_view, ShaderInterface> interfaces;  // by the table's own names
  const std::lock_guard lock(mutex);
  if (const auto known = interfaces.find(name); known != interfaces.end()) return &known->second;
  const ShaderBinary* shader = find_shader(name);
  if (!shader) return nullptr;
  return &interfaces.emplace(shader->name, reflect(device_words(*shader))).first->second;
}

std::optional<std::uint64_t> shader_digest(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string_view, std::uint64_t> digests;  // by the table's own names
  const std::lock_guard lock(mutex);
  if (const auto known = digests.find(name); known != digests.end()) return known->second;
  const ShaderBinary* shader = find_shader(name);
  if (!shader) return std::nullopt;
  const std::vector<std::uint32_t> words = device_words(*shader);
  return digests.emplace(shader->name, fnv1a(words.data(), words.size() * sizeof(std::uint32_t))).first->second;
}

}  // namespace fabula::vk
