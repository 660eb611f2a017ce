#pragma once
#define VK_NO_PROTOTYPES
#include <volk.h>

#include <utility>

namespace fabula::vk {

/// The function table of one device together with the device: what every call below it needs.
struct DeviceRef {
  const VolkDeviceTable* table = nullptr;
  VkDevice device = VK_NULL_HANDLE;
  const bool* abandoned = nullptr;  ///< LogicalDevice::abandoned
};

/// Owns one Vulkan object of a device; Destroy names the table's destroy function.
template <class T, auto Destroy>
class Handle {
 public:
  Handle() = default;
  Handle(DeviceRef ref, T handle) : ref_(ref), handle_(handle) {}
  Handle(Handle&& other) noexcept : ref_(other.ref_), handle_(std::exchange(other.handle_, VK_NULL_HANDLE)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(ref_, other.ref_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Handle() {
    if (handle_ != VK_NULL_HANDLE && !*ref_.abandoned) (ref_.table->*Destroy)(ref_.device, handle_, nullptr);
  }
  T get() const { return handle_; }
  explicit operator bool() const { return handle_ != VK_NULL_HANDLE; }

 private:
  DeviceRef ref_;
  T handle_ = VK_NULL_HANDLE;
};

using BufferHandle = Handle<VkBuffer, &VolkDeviceTable::vkDestroyBuffer>;
using MemoryHandle = Handle<VkDeviceMemory, &VolkDeviceTable::vkFreeMemory>;
using BufferViewHandle = Handle<VkBufferView, &VolkDeviceTable::vkDestroyBufferView>;
using PipelineHandle = Handle<VkPipeline, &VolkDeviceTable::vkDestroyPipeline>;
using PipelineLayoutHandle = Handle<VkPipelineLayout, &VolkDeviceTable::vkDestroyPipelineLayout>;
using PipelineCacheHandle = Handle<VkPipelineCache, &VolkDeviceTable::vkDestroyPipelineCache>;
using SetLayoutHandle = Handle<VkDescriptorSetLayout, &VolkDeviceTable::vkDestroyDescriptorSetLayout>;
using DescriptorPoolHandle = Handle<VkDescriptorPool, &VolkDeviceTable::vkDestroyDescriptorPool>;
using ShaderModuleHandle = Handle<VkShaderModule, &VolkDeviceTable::vkDestroyShaderModule>;
using CommandPoolHandle = Handle<VkCommandPool, &VolkDeviceTable::vkDestroyCommandPool>;
using FenceHandle = Handle<VkFence, &VolkDeviceTable::vkDestroyFence>;
using QueryPoolHandle = Handle<VkQueryPool, &VolkDeviceTable::vkDestroyQueryPool>;

}  // namespace fabula::vk
