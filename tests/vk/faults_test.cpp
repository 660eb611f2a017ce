// Drivers that fail: entries of the device's function table are replaced by ones that answer with an error.
#include "vk/device_impl.hpp"
#include "vk/open_device.hpp"

namespace fabula::vk {
namespace {

using test::expect_error;

VKAPI_ATTR VkResult VKAPI_CALL lost_submit(VkQueue, std::uint32_t, const VkSubmitInfo*, VkFence) {
  return VK_ERROR_DEVICE_LOST;
}
VKAPI_ATTR VkResult VKAPI_CALL full_submit(VkQueue, std::uint32_t, const VkSubmitInfo*, VkFence) {
  return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}
VKAPI_ATTR VkResult VKAPI_CALL lost_wait(VkDevice, std::uint32_t, const VkFence*, VkBool32, std::uint64_t) {
  return VK_ERROR_DEVICE_LOST;
}
VKAPI_ATTR VkResult VKAPI_CALL lost_status(VkDevice, VkFence) {
  return VK_ERROR_DEVICE_LOST;
}
std::uint64_t questions = 0;
VKAPI_ATTR VkResult VKAPI_CALL no_answer(VkDevice, std::uint32_t, const VkFence*, VkBool32, std::uint64_t timeout) {
  EXPECT_LE(timeout, 1'000'000'000u) << "a driver that honours it would not return for long";
  ++questions;
  return VK_TIMEOUT;
}
VKAPI_ATTR VkResult VKAPI_CALL not_ready(VkDevice, VkFence) {
  return VK_NOT_READY;
}
VKAPI_ATTR VkResult VKAPI_CALL full_allocate(VkDevice, const VkMemoryAllocateInfo*, const VkAllocationCallbacks*,
                                             VkDeviceMemory*) {
  return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}
VKAPI_ATTR VkResult VKAPI_CALL full_map(VkDevice, VkDeviceMemory, VkDeviceSize, VkDeviceSize, VkMemoryMapFlags,
                                        void**) {
  return VK_ERROR_MEMORY_MAP_FAILED;
}
VKAPI_ATTR VkResult VKAPI_CALL broken_pipelines(VkDevice, VkPipelineCache, std::uint32_t,
                                                const VkComputePipelineCreateInfo*, const VkAllocationCallbacks*,
                                                VkPipeline*) {
  return VK_ERROR_INITIALIZATION_FAILED;
}

class Faults : public testing::Test {
 protected:
  void SetUp() override {
    device_ = Device::open(base_options());
    table_ = &device_->impl().table;
    values_ = upload_new(*device_, std::vector<std::uint32_t>(64, 1), "values");
    list_.emplace(device_->new_list({"training step", false}));
    list_->dispatch(add_call(*device_, values_, 64));
    list_->end();
  }
  void TearDown() override {  // the list and the buffer go before the device, which is at work, lost as it may be said
    if (!device_) return;     // it could not be opened
    table_->vkDeviceWaitIdle(device_->impl().logical.device);
    list_.reset();
    values_ = Buffer();
  }
  std::unique_ptr<Device> device_;
  VolkDeviceTable* table_ = nullptr;
  Buffer values_;
  std::optional<CommandList> list_;
};

TEST_F(Faults, DeviceLostAtSubmit) {
  const auto good = std::exchange(table_->vkQueueSubmit, lost_submit);
  expect_error(ErrorCode::kDeviceLost, {"training step", "VK_ERROR_DEVICE_LOST", "watchdog"},
               [&] { device_->run(*list_); });
  table_->vkQueueSubmit = good;
  expect_error(ErrorCode::kDeviceLost, {"training step"}, [&] { device_->run(*list_); });  // lost once, lost for good
}

TEST_F(Faults, DeviceLostWhileWaiting) {
  table_->vkGetFenceStatus = lost_status;
  table_->vkWaitForFences = lost_wait;
  expect_error(ErrorCode::kDeviceLost, {"training step"}, [&] { device_->run(*list_); });
  expect_error(ErrorCode::kDeviceLost, {}, [&] { device_->run(*list_); });
}

/// A device that is waited for so many seconds at most, and a list that it can run.
struct Limited {
  explicit Limited(double seconds) {
    DeviceOptions options = base_options();
    options.wait_limit = seconds;
    device = Device::open(options);
    values = upload_new(*device, std::vector<std::uint32_t>(64, 1), "values");
    list = device->new_list({"hung step", false});
    list->dispatch(add_call(*device, values, 64));
    list->end();
  }
  std::unique_ptr<Device> device;
  Buffer values;
  std::optional<CommandList> list;
};

// A device that never answers costs the limit once, and then nothing more: neither what comes later waits for it, nor
// do the destructors.
TEST_F(Faults, NoAnswerEndsTheWaiting) {
  Limited limited(0.25);
  auto& device = limited.device;
  auto& values = limited.values;
  auto& list = limited.list;
  device->impl().table.vkWaitForFences = no_answer;
  device->impl().table.vkGetFenceStatus = not_ready;
  questions = 0;
  const std::vector<std::string> parts{"\"hung step\" on " + device->profile().name, "not over after 0.25 s"};
  expect_error(ErrorCode::kDeviceLost, parts, [&] { device->run(*list); });
  const std::uint64_t asked = questions;
  EXPECT_GT(asked, 0u);
  expect_error(ErrorCode::kDeviceLost, parts, [&] { device->run(*list); });
  list.reset();
  expect_error(ErrorCode::kDeviceLost, parts, [&] { device->wait(); });
  expect_error(ErrorCode::kDeviceLost, parts, [&] { download_all<std::uint32_t>(*device, values, 64); });
  EXPECT_TRUE(device->is_over(1)) << "nobody waits for it in vain";
  values = Buffer();
  device.reset();
  EXPECT_EQ(questions, asked);
}

// What is destroyed while the device does not answer is left alone.
TEST_F(Faults, NoAnswerEndsTheWaitingOfDestructors) {
  Limited limited(0.25);
  auto& device = limited.device;
  auto& values = limited.values;
  auto& list = limited.list;
  CommandList* const one = &*list;
  device->submit({&one, 1});
  device->impl().table.vkWaitForFences = no_answer;
  static int destroyed = 0;
  destroyed = 0;
  device->impl().table.vkDestroyBuffer = [](VkDevice, VkBuffer, const VkAllocationCallbacks*) { ++destroyed; };
  device->impl().table.vkDestroyDevice = [](VkDevice, const VkAllocationCallbacks*) { ++destroyed; };
  list.reset();
  expect_error(ErrorCode::kDeviceLost, {"hung step"}, [&] { device->wait(); });
  values = Buffer();
  device.reset();
  EXPECT_EQ(destroyed, 0);
}

TEST_F(Faults, DeviceLostDuringATransfer) {
  const auto staged = open_lowered(R"({"unified_memory": false})");
  Buffer buffer = staged->allocate(64, MemoryUse::kDevice, "weights");
  staged->impl().table.vkQueueSubmit = lost_submit;
  expect_error(ErrorCode::kDeviceLost, {"weights"}, [&] { download_all<std::uint32_t>(*staged, buffer, 16); });
}

TEST_F(Faults, OutOfMemoryAtAllocation) {
  const auto good = std::exchange(table_->vkAllocateMemory, full_allocate);
  const std::uint64_t before = device_->allocated();
  expect_error(ErrorCode::kOutOfMemory, {"activations", "20.0 MiB", "VK_ERROR_OUT_OF_DEVICE_MEMORY", "heap of"},
               [&] { device_->allocate(20 << 20, MemoryUse::kDevice, "activations"); });
  EXPECT_EQ(device_->allocated(), before);
  table_->vkAllocateMemory = good;
  EXPECT_NO_THROW(device_->allocate(20 << 20, MemoryUse::kDevice, "activations"));
  EXPECT_NO_THROW(device_->run(*list_));
}

TEST_F(Faults, MappingFails) {
  table_->vkMapMemory = full_map;
  const std::uint64_t before = device_->allocated();
  expect_error(ErrorCode::kDevice, {"inputs", "VK_ERROR_MEMORY_MAP_FAILED"},
               [&] { device_->allocate(64, MemoryUse::kUpload, "inputs"); });
  EXPECT_EQ(device_->allocated(), before);
}

TEST_F(Faults, OutOfMemoryAtSubmitCanBeRetried) {
  const auto good = std::exchange(table_->vkQueueSubmit, full_submit);
  expect_error(ErrorCode::kOutOfMemory, {"training step"}, [&] { device_->run(*list_); });
  table_->vkQueueSubmit = good;
  device_->run(*list_);
  EXPECT_EQ(download_all<std::uint32_t>(*device_, values_, 64), std::vector<std::uint32_t>(64, 4));
}

TEST_F(Faults, ShaderCompilerFails) {
  const auto good = std::exchange(table_->vkCreateComputePipelines, broken_pipelines);
  expect_error(ErrorCode::kDevice, {"test_copy", "VK_ERROR_INITIALIZATION_FAILED"}, [&] {
    device_->pipeline({"test_copy", {64, 4}});
  });
  table_->vkCreateComputePipelines = good;
  EXPECT_NE(device_->pipeline({"test_copy", {64, 4}}), nullptr);
}

}  // namespace
}  // namespace fabula::vk
