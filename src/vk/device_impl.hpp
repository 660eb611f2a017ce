#pragma once
#include <map>
#include <memory>
#include <optional>

#include "vk/device.hpp"
#include "vk/handle.hpp"
#include "vk/instance.hpp"
#include "vk/physical.hpp"
#include "vk/pipeline.hpp"
#include "vk/submit.hpp"

namespace fabula::vk {

/// Owns the VkDevice: destroyed after everything that was made from it.
struct LogicalDevice {
  VolkDeviceTable table{};
  VkDevice device = VK_NULL_HANDLE;
  /// It did not answer in time and may still be at work: what it may use is never destroyed, since a driver that is
  /// asked to may wait for it forever, or take memory away under it.
  bool abandoned = false;
  LogicalDevice() = default;
  LogicalDevice(const LogicalDevice&) = delete;
  LogicalDevice& operator=(const LogicalDevice&) = delete;
  ~LogicalDevice() {
    if (device != VK_NULL_HANDLE && !abandoned) table.vkDestroyDevice(device, nullptr);
  }
};

/// What a Device is made of. Internal: the layers above see device.hpp alone. Members are destroyed last to first.
struct Device::Impl {
  Impl(const DeviceOptions& options);
  ~Impl();

  Instance instance;
  PhysicalDevice physical;  ///< its profile is lowered already
  bool statistics = false;  ///< can be asked for
  bool self_test = false;   ///< DeviceOptions::self_test
  LogicalDevice logical;
  VolkDeviceTable& table = logical.table;  ///< every device call goes through it; tests replace entries
  VkQueue queue = VK_NULL_HANDLE;
  PFN_vkSetDebugUtilsObjectNameEXT set_name = nullptr;
  std::unique_ptr<PipelineStore> pipelines;
  std::unique_ptr<SubmitQueue> submissions;

  struct Staging {
    Buffer upload, readback;
    CommandPoolHandle pool;
    VkCommandBuffer commands = VK_NULL_HANDLE;
  };
  std::optional<Staging> staging;

  std::uint64_t next_buffer_id = 1;
  std::uint64_t allocated = 0, peak_allocated = 0;             ///< bytes of allocate() calls
  std::array<std::uint64_t, VK_MAX_MEMORY_HEAPS> heap_used{};  ///< bytes of allocate() calls by heap

  const DeviceProfile& profile() const { return physical.info.profile; }
  DeviceRef ref() const { return {&logical.table, logical.device, &logical.abandoned}; }
  void name_object(VkObjectType type, std::uint64_t handle, const std::string& name) const;

  Buffer allocate(std::uint64_t bytes, MemoryUse use, const std::string& what);
  Staging& get_staging();
  void copy_now(const Buffer& from, std::uint64_t from_offset, const Buffer& to, std::uint64_t to_offset,
                std::uint64_t size);
};

struct Buffer::Impl {
  Device::Impl* device = nullptr;
  std::uint64_t id = 0;  ///< never reused, unlike a handle
  MemoryHandle memory;
  BufferHandle buffer;  ///< after its memory, so that it goes first
  std::uint32_t heap = 0;
  std::uint64_t bytes = 0;
  std::string what;
  ~Impl();
};

}  // namespace fabula::vk
