#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.hpp"

namespace fabula::ops {

/// How the invocations of a workgroup share the rows of a reduction (shaders/include/row_reduce.glsl).
struct ReductionShape {
  std::uint32_t size;                                 ///< invocations a workgroup
  std::uint32_t lanes;                                ///< invocations a row, a power of two
  std::int64_t rows() const { return size / lanes; }  ///< a workgroup
  std::vector<std::uint32_t> constants() const { return {size, lanes}; }
};

/// Variants of a reduction: "serial" gives a row to one invocation (a software driver runs shared memory and barriers
/// lane by lane), "tile" spreads it over neighbours, which read neighbouring memory.
inline std::vector<std::string> reduction_variants(const graph::NodeView&, const vk::DeviceProfile& profile) {
  if (profile.device_class == vk::DeviceClass::kSoftware) return {"serial", "tile"};
  return {"tile", "serial"};
}

/// `width`: loop iterations that a row takes in all, its vec4s say.
inline ReductionShape reduction_shape(std::string_view variant, std::int64_t width) {
  if (variant == "serial") return {32, 1};
  const auto half = static_cast<std::uint32_t>(std::clamp<std::int64_t>((width + 1) / 2, 8, 128));
  return {128, std::min(std::bit_ceil(half), 128u)};
}

}  // namespace fabula::ops
