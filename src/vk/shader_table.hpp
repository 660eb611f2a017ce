#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace fabula::vk {

/// One compiled shader variant, embedded at build time (cmake/FabulaShaders.cmake).
struct ShaderBinary {
  std::string_view name;
  const std::uint32_t* begin;
  const std::uint32_t* end;
  bool khr_from_nv = false;  ///< written with NV's cooperative matrices, to be used with KHR's (khr_matrix.hpp)
};

/// Every variant that this build holds.
std::span<const ShaderBinary> shader_table();

/// The variant of that name, or nullptr when this build left it out.
const ShaderBinary* find_shader(std::string_view name);

}  // namespace fabula::vk
