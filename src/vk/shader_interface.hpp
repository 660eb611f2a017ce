#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace fabula::vk {

enum class Access : std::uint8_t { kRead, kWrite, kReadWrite };
enum class BindingKind : std::uint8_t {
  kStorage,
  kTexel,       ///< uniform texel buffer, RGBA32F
  kTexelWords,  ///< the same, RGBA32UI: drivers may lose bits of floats that are none
};

/// What a compiled shader says of itself (from its SPIR-V).
struct ShaderInterface {
  struct Slot {
    BindingKind kind;
    Access access;  ///< from readonly / writeonly; a texel buffer is read
  };
  std::vector<Slot> slots;  ///< by binding number, 0..n-1 without gaps, all in set 0
  std::uint32_t push_constant_bytes = 0;
  std::uint32_t specialization_count = 0;  ///< highest constant_id + 1, element types aside
};

/// Parses a SPIR-V module's interface. Throws kInternal for a shader that breaks fabula's rules (gaps, other sets, over
/// the limits).
ShaderInterface reflect(std::span<const std::uint32_t> spirv);

/// The constant_id that says how the elements of binding 0 are stored; binding b's is kElementTypeId + b
/// (shaders/include/values.glsl).
inline constexpr std::uint32_t kElementTypeId = 16;
/// A shader with the constant_id kBytesId + b can read signed bytes at binding b (shaders/include/weights.glsl).
inline constexpr std::uint32_t kBytesId = 32;
inline constexpr std::uint32_t kBytesCode = 3;  ///< of graph::DType::kI8

}  // namespace fabula::vk
