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
  vk::DeviceProfile profile;
  profile.name = "Everything";
  profile.limits = {.max_invocations = 2048,
                    .max_workgroup_size = {2048, 2048, 2048},
                    .max_workgroup_count = {65535, 65535, 65535},
                    .max_workgroup_subgroups = 0,
                    .max_shared_memory = 1u << 20,
                    .max_push_constants = 256,
                    .max_storage_buffers = 64,
                    .max_storage_range = 1ull << 40,
                    .storage_alignment = 16,
                    .max_texel_elements = 1ull << 27,
                    .max_allocation = 1ull << 40,
                    .heap_cap = 0};
  profile.features = {.subgroup_shuffle = true,
                      .subgroup_arithmetic = true,
                      .subgroup_ballot = true,
                      .full_subgroups = true,
                      .subgroup_size_control = true,
                      .subgroup_size = 128,
                      .min_subgroup_size = 1,
                      .max_subgroup_size = 128,
                      .storage_16bit = true,
                      .float16 = true,
                      .texel_float4 = true,
                      .cooperative_matrix_khr = true,
                      .cooperative_matrix_nv = true,
                      .cooperative_matrix_bf16 = true,
                      .timestamps = true,
                      .memory_budget = true};
  vk::apply_limits(profile, imitated_limits(name));
  return profile;
}

}  // namespace fabula::test
