#pragma once
#include <string>

#include "vk/limits.hpp"

namespace fabula::test {

/// The GPUs that tests/support/devices imitates: what drivers report of a Vega, an Intel and an Adreno.
inline constexpr const char* kImitatedDevices[] = {"vega", "intel", "adreno"};

inline std::string imitated_limits(const std::string& name) {
  return std::string(FABULA_SOURCE_DIR) + "/tests/support/devices/" + name + ".json";
}

/// A device that has everything, lowered to one of them: what kernels are chosen there needs no driver.
inline vk::DeviceProfile imitated_device(const std::string& name) {
  vk::DeviceProfile profile = vk::boundless_profile();
  profile.name = "Everything";
  profile.features.subgroup_size = profile.features.max_subgroup_size;
  profile.limits.max_storage_range = profile.limits.max_allocation = 1ull << 40;  // what signed sums hold
  profile.limits.max_texel_elements = 1ull << 27;
  vk::apply_limits(profile, imitated_limits(name));
  return profile;
}

}  // namespace fabula::test
