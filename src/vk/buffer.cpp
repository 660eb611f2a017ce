#include <algorithm>

#include "base/byte_size.hpp"
#include "base/fail.hpp"
#include "vk/device_impl.hpp"
#include "vk/result.hpp"

namespace fabula::vk {
namespace {

constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
// Coherent throughout: the specification promises such a type, and no flush can be forgotten.
constexpr VkMemoryPropertyFlags kHost = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;

/// Property sets to look for, best first.
std::vector<VkMemoryPropertyFlags> wishes(MemoryUse use, bool unified) {
  if (unified && use == MemoryUse::kDevice) return {kLocal | kHost | kCached, kLocal | kHost, kLocal, 0};
  switch (use) {
    case MemoryUse::kDevice:
      return {kLocal, 0};
    case MemoryUse::kReadback:
      return {kHost | kCached, kHost};
    case MemoryUse::kUpload:
      return {kHost};
  }
  return {};
}

/// A type with the wished properties; without host access in the wish, one that has none is preferred (a small mappable
/// window of a discrete card is left to those who map).
std::optional<std::uint32_t> find_type(const VkPhysicalDeviceMemoryProperties& memory, std::uint32_t allowed,
                                       VkMemoryPropertyFlags wish) {
  std::optional<std::uint32_t> found;
  for (std::uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    const VkMemoryPropertyFlags flags = memory.memoryTypes[i].propertyFlags;
    constexpr VkMemoryPropertyFlags kUnusable = VK_MEMORY_PROPERTY_PROTECTED_BIT |
                                                VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT |
                                                VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD;
    if ((allowed >> i & 1) == 0 || (flags & wish) != wish || (flags & kUnusable) != 0) continue;
    const bool plain =
        (wish & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0 || (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) == 0;
    if (plain) return i;
    if (!found) found = i;
  }
  return found;
}

/// To the byte where sizes that are compared would read the same.
std::string text_of(std::uint64_t bytes) {
  return bytes < 10ull << 20 ? fmt::format("{} bytes", bytes) : size_text(bytes);
}

/// What the driver grants and counts, by heap, where it says so.
std::optional<VkPhysicalDeviceMemoryBudgetPropertiesEXT> query_budget(const Device::Impl& device) {
  if (!device.profile().features.memory_budget) return std::nullopt;
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  VkPhysicalDeviceMemoryProperties2 memory{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, &budget, {}};
  vkGetPhysicalDeviceMemoryProperties2(device.physical.handle, &memory);
  return budget;
}

/// Bytes that the driver still grants in a heap, where it says so.
std::optional<std::uint64_t> budget_left(const Device::Impl& device, std::uint32_t heap) {
  const auto budget = query_budget(device);
  if (!budget) return std::nullopt;
  const std::uint64_t total = budget->heapBudget[heap], used = budget->heapUsage[heap];
  return total > used ? total - used : 0;
}

[[noreturn]] void fail_memory(const Device::Impl& device, std::uint32_t heap, std::uint64_t bytes,
                              const std::string& what, const std::string& reason) {
  const auto left = budget_left(device, heap);
  const std::uint64_t cap = device.profile().limits.heap_cap;
  fail(ErrorCode::kOutOfMemory,
       "out of device memory for {}: {} wanted, {} ({}: heap of {}{}, {} of it held by fabula{})", what, text_of(bytes),
       reason, device.profile().name, text_of(device.physical.memory.memoryHeaps[heap].size),
       cap != 0 ? fmt::format(" capped at {}", text_of(cap)) : "", text_of(device.heap_used[heap]),
       left ? fmt::format(", {} left in the driver's budget", text_of(*left)) : "");
}

void check_room(const Device::Impl& device, std::uint32_t heap, std::uint64_t bytes, const std::string& what) {
  const Limits& limits = device.profile().limits;
  const VkMemoryHeap& of = device.physical.memory.memoryHeaps[heap];
  if (bytes > limits.max_allocation) {
    fail_memory(device, heap, bytes, what,
                fmt::format("one allocation may hold at most {}", text_of(limits.max_allocation)));
  }
  const std::uint64_t used = device.heap_used[heap];
  if (limits.heap_cap != 0 && (of.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0 &&
      (bytes > limits.heap_cap || used > limits.heap_cap - bytes)) {
    fail_memory(device, heap, bytes, what, "above the heap cap");
  }
  // A software driver grants any size and the system kills the process later: the heap's size is the honest bound.
  if (bytes > of.size || used > of.size - bytes) fail_memory(device, heap, bytes, what, "more than the heap has left");
}

}  // namespace

Buffer::Buffer(Buffer&& other) noexcept
    : impl_(std::move(other.impl_)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, nullptr)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(impl_, other.impl_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

Buffer::Buffer() = default;
Buffer::~Buffer() = default;

Buffer::Impl::~Impl() {
  if (device == nullptr) return;
  if (device->submissions) device->submissions->settle();  // commands under way may still use it
  if (bytes != 0) {
    device->heap_used[heap] -= bytes;
    device->allocated -= bytes;
  }
}

std::optional<std::uint64_t> Device::memory_in_use() const {
  const auto budget = query_budget(*impl_);
  if (!budget) return std::nullopt;
  const VkPhysicalDeviceMemoryProperties& memory = impl_->physical.memory;
  std::uint64_t used = 0;
  for (std::uint32_t heap = 0; heap < memory.memoryHeapCount; ++heap)
    if ((memory.memoryHeaps[heap].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0) used += budget->heapUsage[heap];
  return used;
}

Buffer Device::Impl::allocate(std::uint64_t bytes, MemoryUse use, const std::string& what) {
  ensure(bytes != 0, "an allocation of zero bytes was asked for ({})", what);
  // Whole 16-byte units: fills take words, texel views take vec4.
  bytes = (bytes + 15) & ~std::uint64_t{15};
  auto owned = std::make_unique<Buffer::Impl>();
  VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.size = bytes;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
               VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
  std::optional<std::uint32_t> type;
  const auto& memory = physical.memory;
  {
    // The types that buffers of this usage may take do not depend on the size, so a tiny one tells before a huge one is
    // refused.
    VkBufferCreateInfo probe = info;
    probe.size = 16;
    VkBuffer buffer = VK_NULL_HANDLE;
    check(table.vkCreateBuffer(logical.device, &probe, nullptr, &buffer), "creating a buffer");
    const BufferHandle holder(ref(), buffer);
    VkMemoryRequirements needs{};
    table.vkGetBufferMemoryRequirements(logical.device, buffer, &needs);
    for (VkMemoryPropertyFlags wish : wishes(use, profile().unified_memory)) {
      type = find_type(memory, needs.memoryTypeBits, wish);
      if (type) break;
    }
  }
  ensure(type.has_value(), "no memory type fits {}", what);
  const std::uint32_t heap = memory.memoryTypes[*type].heapIndex;
  check_room(*this, heap, bytes, what);

  VkBuffer buffer = VK_NULL_HANDLE;
  check(table.vkCreateBuffer(logical.device, &info, nullptr, &buffer), "creating a buffer for " + what);
  owned->buffer = BufferHandle(ref(), buffer);
  VkMemoryRequirements needs{};
  table.vkGetBufferMemoryRequirements(logical.device, buffer, &needs);
  VkMemoryAllocateInfo allocation{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, nullptr, needs.size, *type};
  VkDeviceMemory device_memory = VK_NULL_HANDLE;
  const VkResult result = table.vkAllocateMemory(logical.device, &allocation, nullptr, &device_memory);
  if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY ||
      result == VK_ERROR_TOO_MANY_OBJECTS) {
    fail_memory(*this, heap, bytes, what, fmt::format("the driver refused with {}", result_name(result)));
  }
  check(result, "allocating memory for " + what);
  owned->memory = MemoryHandle(ref(), device_memory);
  check(table.vkBindBufferMemory(logical.device, buffer, device_memory, 0), "binding memory for " + what);

  Buffer made;
  const bool map = use != MemoryUse::kDevice || profile().unified_memory;
  if (map && (memory.memoryTypes[*type].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0) {
    check(table.vkMapMemory(logical.device, device_memory, 0, VK_WHOLE_SIZE, 0, &made.mapped_),
          "mapping memory for " + what);
  }
  name_object(VK_OBJECT_TYPE_BUFFER, reinterpret_cast<std::uint64_t>(buffer), what);
  owned->device = this;
  owned->id = next_buffer_id++;
  owned->heap = heap;
  owned->bytes = bytes;
  owned->what = what;
  heap_used[heap] += bytes;
  allocated += bytes;
  peak_allocated = std::max(peak_allocated, allocated);
  made.impl_ = std::move(owned);
  made.size_ = bytes;
  return made;
}

}  // namespace fabula::vk
