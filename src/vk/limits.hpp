#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "vk/kernel_key.hpp"

namespace fabula::vk {

enum class DeviceClass { kDiscrete, kIntegrated, kVirtual, kSoftware, kOther };

/// What a kernel may rely on, read from the driver and then lowered by a profile. Kernels are chosen from this alone,
/// never from names.
struct Limits {
  std::uint32_t max_invocations = 128;  ///< a workgroup
  std::array<std::uint32_t, 3> max_workgroup_size{128, 128, 64};
  std::array<std::uint32_t, 3> max_workgroup_count{65535, 65535, 65535};
  std::uint32_t max_workgroup_subgroups = 0;       ///< a workgroup whose subgroups are full; 0: no limit
  std::uint32_t max_shared_memory = 16384;         ///< bytes a workgroup
  std::uint32_t max_push_constants = 128;          ///< bytes
  std::uint32_t max_storage_buffers = 8;           ///< a kernel
  std::uint64_t max_storage_range = 128ull << 20;  ///< bytes a binding
  std::uint64_t storage_alignment = 256;           ///< bytes, of a bound offset (also used for texel views)
  std::uint64_t max_texel_elements = 65536;        ///< a texel buffer view
  std::uint64_t max_allocation = 1ull << 30;       ///< bytes, min(maxMemoryAllocationSize, maxBufferSize)
  std::uint64_t heap_cap = 0;                      ///< bytes of device memory that may be used; 0: the device's own
};

/// Optional features; each has a fallback without.
struct Features {
  bool subgroup_shuffle = false;                                       ///< shuffle in compute
  bool subgroup_arithmetic = false;                                    ///< subgroupAdd and kin in compute
  bool subgroup_ballot = false;                                        ///< subgroupBroadcast and ballots in compute
  bool full_subgroups = false;                                         ///< no lane of a subgroup is idle, in compute
  bool subgroup_size_control = false;                                  ///< a size may be required as well
  std::uint32_t subgroup_size = 1;                                     ///< the default one; anything from 1 to 128
  std::uint32_t min_subgroup_size = 1, max_subgroup_size = 1;          ///< what there is, and may be required
  bool storage_16bit = false;                                          ///< 16-bit types in storage buffers
  bool float16 = false;                                                ///< fp16 arithmetic
  bool texel_float4 = false;                                           ///< RGBA32F uniform texel buffers
  bool cooperative_matrix_khr = false, cooperative_matrix_nv = false;  ///< of fp16
  bool cooperative_matrix_bf16 = false;                                ///< of bf16, through the KHR extension
  bool timestamps = false;
  bool memory_budget = false;
};

/// The whole of what lowering knows about a device.
struct DeviceProfile {
  std::string name;  ///< device name, followed by the profile in brackets when limits were lowered
  DeviceClass device_class = DeviceClass::kOther;
  Limits limits;
  Features features;
  bool unified_memory = false;  ///< device-local memory that the host can map
  KernelFaults faults = {};     ///< kernels that a better one is looked for, where an op has a choice
};

/// The size of the subgroups that every workgroup of `local` invocations can be promised to consist of: the smallest
/// one of at least `lanes`, because what registers a driver has for a subgroup its lanes share (Intel's 8 lanes have
/// four times as many each as its 32; Adreno's 64 twice as many as its 128). A size that is the only one needs no
/// asking for. 0: nothing can be promised.
std::uint32_t promised_subgroup_size(const DeviceProfile& profile, std::uint32_t lanes, std::uint32_t local);

/// Lowers `profile` to a named profile ("native", "vulkan-minimum") or to a JSON file of the fields above. Never raises
/// a limit. Throws kInvalidArgument for an unknown name, key or a value out of range.
void apply_limits(DeviceProfile& profile, std::string_view name_or_file);

/// More of everything than any device has: what one that is not there is lowered from.
DeviceProfile boundless_profile();

/// A device that is not there: a JSON object of the keys of a limits file. What it does not say is the least that a
/// driver may offer, and a feature that is not there. Throws kInvalidArgument for an unknown key or a value out of
/// range, kFormat for what is no JSON, both naming `source`.
DeviceProfile parse_profile(std::string_view json_text, const std::string& name, const std::string& source);
/// What parse_profile makes an equal profile of, faults aside.
std::string profile_json(const DeviceProfile& profile);

}  // namespace fabula::vk
