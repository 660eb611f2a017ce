#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.hpp"
#include "ops/registers.hpp"

namespace fabula::ops {

/// How the invocations of a workgroup share the rows of a reduction (shaders/include/row_reduce.glsl).
struct ReductionShape {
  std::uint32_t size;                                 ///< invocations a workgroup
  std::uint32_t lanes;                                ///< invocations a row, a power of two
  std::int64_t rows() const { return size / lanes; }  ///< a workgroup
  std::vector<std::uint32_t> constants() const { return {size, lanes}; }
  /// Vec4s an invocation holds when a row of `width` of them lies in registers.
  std::int64_t held(std::int64_t width) const { return (width + lanes - 1) / lanes; }
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

/// The variant "subgroup" gives a row to one subgroup, which sums by shuffles and needs neither shared memory nor
/// barriers.
inline constexpr std::string_view kSubgroup = "subgroup";

/// Of its workgroups' subgroups; 0: it cannot run here.
inline std::uint32_t reduction_subgroup_size(const vk::DeviceProfile& profile) {
  return shuffling_size(profile, 4, 128);
}

inline ReductionShape subgroup_reduction_shape(std::uint32_t subgroup_size, std::int64_t width) {
  return {128, std::min(subgroup_size, std::bit_ceil(static_cast<std::uint32_t>(width)))};
}

/// reduction_variants, and "subgroup" where the device can run it and an invocation holds at most `most` vec4s of a
/// row.
inline std::vector<std::string> row_reduction_variants(const graph::NodeView& node, const vk::DeviceProfile& profile,
                                                       std::int64_t width, std::int64_t most) {
  std::vector<std::string> variants = reduction_variants(node, profile);
  const std::uint32_t subgroup_size = reduction_subgroup_size(profile);
  if (subgroup_size == 0 || subgroup_reduction_shape(subgroup_size, width).held(width) > most) return variants;
  const bool software = profile.device_class == vk::DeviceClass::kSoftware;
  variants.insert(software ? variants.end() : variants.begin(), std::string(kSubgroup));
  return variants;
}

}  // namespace fabula::ops
