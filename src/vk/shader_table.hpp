#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "vk/shader_interface.hpp"

namespace fabula::vk {

/// What is done to a module, written with NV's cooperative matrices, before a device sees it (khr_matrix.hpp).
enum class Rewriting {
  kNone,
  kKhr,      ///< to KHR's
  kKhrBf16,  ///< the same, and from fp16 to bf16
};

/// One compiled shader variant, embedded at build time (cmake/FabulaShaders.cmake).
struct ShaderBinary {
  std::string_view name;
  const std::uint32_t* begin;
  const std::uint32_t* end;
  Rewriting rewriting = Rewriting::kNone;
};

/// Every variant that this build holds.
std::span<const ShaderBinary> shader_table();

/// The variant of that name, or nullptr when this build left it out.
const ShaderBinary* find_shader(std::string_view name);

/// The SPIR-V words that a device is given: the embedded ones, rewritten where the variant says so.
std::vector<std::uint32_t> device_words(const ShaderBinary& shader);

/// What the variant says of itself, made once a process; null for one that this build left out.
const ShaderInterface* shader_interface(std::string_view name);

/// A digest of these words, made once a process; nothing for a variant that this build left out.
std::optional<std::uint64_t> shader_digest(std::string_view name);

}  // namespace fabula::vk
