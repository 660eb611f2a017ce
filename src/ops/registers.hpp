#pragma once
#include <cstdint>

#include "vk/limits.hpp"

// What a kernel may take of a core: registers, shared memory, a subgroup. Outside the GPUs on which the largest kernels
// were measured to be the fastest, and software drivers, all of these are scarce.
namespace fabula::ops {

/// Whether an invocation may keep as many words in registers as was measured to be best, on discrete GPUs with
/// subgroups of 32. Others' registers are fewer: Intel's 8 lanes have 128 words each, and of AMD's 64 lanes, where
/// there are no 32, a core runs one subgroup beyond 128. Where no subgroup can be promised nothing is known.
inline bool is_large_gpu(const vk::DeviceProfile& profile) {
  return profile.device_class == vk::DeviceClass::kDiscrete && profile.features.subgroup_shuffle &&
         vk::promised_subgroup_size(profile, 1, 128) == 32;
}

/// So may it on those, and on software drivers, which have memory for registers anyhow.
inline bool has_many_registers(const vk::DeviceProfile& profile) {
  return profile.device_class == vk::DeviceClass::kSoftware || is_large_gpu(profile);
}

/// Bytes of shared memory that a workgroup may take. Outside discrete GPUs a core has little: two workgroups are to
/// share it, so that one computes while the other loads its block.
inline std::uint64_t shared_memory(const vk::DeviceProfile& profile) {
  const vk::DeviceClass of = profile.device_class;
  const bool whole = of == vk::DeviceClass::kDiscrete || of == vk::DeviceClass::kSoftware;
  return profile.limits.max_shared_memory / (whole ? 1 : 2);
}

/// The subgroup size with which workgroups of `local` are launched that shuffle among `lanes`; 0: the device cannot
/// promise one.
inline std::uint32_t shuffling_size(const vk::DeviceProfile& profile, std::uint32_t lanes, std::uint32_t local) {
  return profile.features.subgroup_shuffle ? vk::promised_subgroup_size(profile, lanes, local) : 0;
}

}  // namespace fabula::ops
