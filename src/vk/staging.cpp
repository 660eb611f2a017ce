#include <algorithm>
#include <cstring>

#include "base/fail.hpp"
#include "vk/device_impl.hpp"
#include "vk/result.hpp"

namespace fabula::vk {
namespace {

constexpr std::uint64_t kStagingBytes = 16ull << 20;

void check_transfer(const Buffer& buffer, std::uint64_t offset, std::uint64_t size, const char* what) {
  ensure(static_cast<bool>(buffer), "{} without a buffer", what);
  ensure(offset % 4 == 0 && size % 4 == 0, "{} of {} bytes at {}: not whole words", what, size, offset);
  ensure(offset <= buffer.size() && size <= buffer.size() - offset,
         "{} of bytes {} to {} of buffer \"{}\", which has {}", what, offset, offset + size, buffer.impl()->what,
         buffer.size());
}

}  // namespace

Device::Impl::Staging& Device::Impl::get_staging() {
  if (staging) return *staging;
  Staging made;
  const VkCommandPoolCreateInfo info{
      VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr,
      VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT | VK_COMMAND_POOL_CREATE_TRANSIENT_BIT, physical.queue_family};
  VkCommandPool pool = VK_NULL_HANDLE;
  check(table.vkCreateCommandPool(logical.device, &info, nullptr, &pool), "creating a command pool");
  made.pool = CommandPoolHandle(ref(), pool);
  const VkCommandBufferAllocateInfo allocate_info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, nullptr, pool,
                                                  VK_COMMAND_BUFFER_LEVEL_PRIMARY, 1};
  check(table.vkAllocateCommandBuffers(logical.device, &allocate_info, &made.commands), "allocating a command buffer");
  staging = std::move(made);
  return *staging;
}

void Device::Impl::copy_now(const Buffer& from, std::uint64_t from_offset, const Buffer& to, std::uint64_t to_offset,
                            std::uint64_t size) {
  const VkCommandBuffer commands = get_staging().commands;
  const VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, nullptr,
                                       VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT, nullptr};
  check(table.vkBeginCommandBuffer(commands, &begin), "recording a copy");
  constexpr VkPipelineStageFlags kWork = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
  constexpr VkAccessFlags kWrites = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  const VkMemoryBarrier before{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, kWrites,
                               VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
  table.vkCmdPipelineBarrier(commands, kWork, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before, 0, nullptr, 0, nullptr);
  const VkBufferCopy region{from_offset, to_offset, size};
  table.vkCmdCopyBuffer(commands, from.impl()->buffer.get(), to.impl()->buffer.get(), 1, &region);
  const VkMemoryBarrier after{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, VK_ACCESS_TRANSFER_WRITE_BIT,
                              VK_ACCESS_HOST_READ_BIT};
  table.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &after, 0,
                             nullptr, 0, nullptr);
  check(table.vkEndCommandBuffer(commands), "recording a copy");
  submissions->run_now(commands, fmt::format("copy {} to {}", from.impl()->what, to.impl()->what));
}

void Device::upload(const Buffer& to, std::uint64_t offset, std::span<const std::byte> data) {
  check_transfer(to, offset, data.size(), "upload");
  if (data.empty()) return;
  impl_->submissions->wait();
  if (to.mapped() != nullptr) {
    std::memcpy(static_cast<std::byte*>(to.mapped()) + offset, data.data(), data.size());
    return;
  }
  Buffer& staging = impl_->get_staging().upload;
  if (!staging) staging = impl_->allocate(kStagingBytes, MemoryUse::kUpload, "upload staging");
  for (std::uint64_t done = 0; done < data.size();) {
    const std::uint64_t part = std::min<std::uint64_t>(kStagingBytes, data.size() - done);
    std::memcpy(staging.mapped(), data.data() + done, part);
    impl_->copy_now(staging, 0, to, offset + done, part);
    done += part;
  }
}

void Device::download(const Buffer& from, std::uint64_t offset, std::span<std::byte> data) {
  check_transfer(from, offset, data.size(), "download");
  if (data.empty()) return;
  impl_->submissions->wait();
  if (from.mapped() != nullptr) {
    std::memcpy(data.data(), static_cast<const std::byte*>(from.mapped()) + offset, data.size());
    return;
  }
  Buffer& staging = impl_->get_staging().readback;
  if (!staging) staging = impl_->allocate(kStagingBytes, MemoryUse::kReadback, "readback staging");
  for (std::uint64_t done = 0; done < data.size();) {
    const std::uint64_t part = std::min<std::uint64_t>(kStagingBytes, data.size() - done);
    impl_->copy_now(from, offset + done, staging, 0, part);
    std::memcpy(data.data() + done, staging.mapped(), part);
    done += part;
  }
}

}  // namespace fabula::vk
