#pragma once
#include <cstdint>

#include "graph/op.hpp"

namespace fabula::ops {

/// Rows of a value that one RGBA32F texel view can hold, a multiple of 64; 0: none, the value cannot be read as texels.
inline std::int64_t texel_rows(const graph::Shape& shape, const vk::DeviceProfile& profile) {
  return std::int64_t(profile.limits.max_texel_elements) / (shape.ld() / 4) / 64 * 64;
}

/// Drivers that run on the CPU read texels as whole vectors, storage buffers word by word.
inline bool prefers_texels(const vk::DeviceProfile& profile) {
  return profile.device_class == vk::DeviceClass::kSoftware && profile.features.texel_float4;
}

}  // namespace fabula::ops
