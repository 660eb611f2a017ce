#pragma once
#define VK_NO_PROTOTYPES
#include <volk.h>

#include <string>
#include <vector>

#include "vk/device_info.hpp"
#include "vk/instance.hpp"
#include "vk/quirks.hpp"

namespace fabula::vk {

/// A physical device as the driver describes it, with what a logical device needs to be made from it.
struct PhysicalDevice {
  VkPhysicalDevice handle = VK_NULL_HANDLE;
  DeviceInfo info;  ///< limits not yet lowered
  Quirks quirks;
  std::uint32_t api_version = 0;  ///< the lower of the instance's and the device's
  std::uint32_t vendor_id = 0, device_id = 0, driver_version = 0;
  std::array<std::uint8_t, VK_UUID_SIZE> pipeline_cache_uuid{};
  std::uint32_t queue_family = 0;
  std::uint32_t timestamp_bits = 0;
  double timestamp_period = 0;  ///< nanoseconds a tick
  VkPhysicalDeviceMemoryProperties memory{};
  std::vector<std::string> extensions;

  bool has_extension(std::string_view name) const;
};

/// Every device of the instance, best first: discrete, integrated, virtual, software; unusable ones last.
std::vector<PhysicalDevice> list_devices(const Instance& instance);

}  // namespace fabula::vk
