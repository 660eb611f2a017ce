#pragma once
#include "vk/limits.hpp"

namespace fabula::ops {

/// Does a kernel that keeps a hundred numbers or more in an invocation's registers spill them here, or leave the cores
/// idle? So it is on integrated and mobile GPUs, and on older discrete ones whose subgroups are all of 64: with more than
/// 128 registers a lane their SIMD units hold one subgroup each. Software drivers have memory for registers anyhow.
inline bool has_few_registers(const vk::DeviceProfile& profile) {
  if (profile.device_class == vk::DeviceClass::kSoftware) return false;
  return profile.device_class != vk::DeviceClass::kDiscrete || profile.features.min_subgroup_size >= 64;
}

}  // namespace fabula::ops
