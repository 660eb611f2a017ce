#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "vk/limits.hpp"

namespace fabula::vk {

struct DeviceInfo {
  std::uint32_t index = 0;   ///< in the order of enumerate(): discrete, integrated, virtual, software
  std::string name, driver;  ///< as the driver reports; driver name with its version text
  std::string api_version, device_uuid, driver_uuid;
  std::uint64_t device_memory = 0;  ///< bytes of the largest device-local heap
  DeviceProfile profile;
  /// Bytes that a job may plan with: that heap, or the limits' cap on it.
  std::uint64_t usable_memory() const { return profile.limits.heap_cap > 0 ? profile.limits.heap_cap : device_memory; }
  bool usable = true;  ///< has a compute queue, Vulkan 1.1 and memory
  std::string why_not;
  bool incomplete = false;  ///< implements a part of Vulkan (vk/portability.hpp)
  bool compiles = true;     ///< is usable, or would be if it had memory: kernels can be compiled for it
  bool statistics = false;  ///< its driver tells what became of a kernel (VK_KHR_pipeline_executable_properties)
};

struct DeviceOptions {
  std::string device;             ///< index, part of the name, or UUID; empty: the first of enumerate()
  std::string limits = "native";  ///< see apply_limits
  std::uint64_t memory = 0;       ///< bytes of device memory that may be used, as Limits::heap_cap; 0: all
  /// Seconds after which a submission that is not over is taken for one that never will be; 0: ten minutes, an hour for
  /// a software driver, whose kernels may take minutes each.
  double wait_limit = 0;
  /// Kernels are compiled and nothing else is done: a device without memory will do.
  bool only_compile = false;
  /// compile() asks the driver for statistics, where it has them. A choice: drivers have bugs there.
  bool statistics = false;
  /// Kernels are compared with their references before the first work that rests on them (graph/self_test.hpp). What is
  /// known from earlier is heeded without it too.
  bool self_test = false;
  bool validate = false;  ///< validation layer, synchronization validation included
  std::string cache_dir;  ///< pipeline cache folder; empty: the user's cache folder; "none": no cache on disk
  std::function<void(const std::string&)>
      on_validation;  ///< receives validation messages; default: counts and logs them
};

}  // namespace fabula::vk
