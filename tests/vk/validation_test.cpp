#include "vk/device_impl.hpp"
#include "vk/open_device.hpp"

namespace fabula::vk {
namespace {

VKAPI_ATTR void VKAPI_CALL no_barrier(VkCommandBuffer, VkPipelineStageFlags, VkPipelineStageFlags, VkDependencyFlags,
                                      std::uint32_t, const VkMemoryBarrier*, std::uint32_t,
                                      const VkBufferMemoryBarrier*, std::uint32_t, const VkImageMemoryBarrier*) {}

class Validation : public testing::Test {
 protected:
  DeviceOptions options() {
    DeviceOptions validated = base_options();
    validated.validate = true;
    validated.on_validation = [this](const std::string& text) { messages_.push_back(text); };
    return validated;
  }
  std::vector<std::string> messages_;
};

/// Everything that the device layer does in a normal run.
void exercise(Device& device) {
  const std::uint32_t count = 1000;
  const Buffer a = upload_new(device, std::vector<std::uint32_t>(count, 1), "a");
  const Buffer b = upload_new(device, std::vector<std::uint32_t>(count, 1), "b");
  const Buffer sums = upload_new(device, std::vector<std::uint32_t>(count, 1), "sums");
  const std::uint32_t texels = count / 4;
  for (bool timed : {false, true}) {
    CommandList list = device.new_list({"everything", timed});
    for (int i = 0; i < 20; ++i) {
      list.dispatch(add_call(device, a, count));
      list.dispatch({device.pipeline({"test_copy", {64, 4}}),
                     {range_of(a, count * 4), range_of(b, count * 4)},
                     push_of(CopyPush{1.0f, 0.0f, count}),
                     {groups_for(count, 64), 1, 1},
                     "copy"});
      list.dispatch({device.pipeline({"test_texel", {}}),
                     {range_of(b, texels * 16), range_of(sums, texels * 4)},
                     push_of(texels),
                     {groups_for(texels, 32), 1, 1},
                     "texel"});
      list.fill(range_of(b, 64), 0);
      list.copy(range_of(a, 128), range_of(b, 128, 512));
    }
    list.end();
    for (double budget : {1e-12, 10.0}) {
      device.impl().submissions->set_budget(budget);
      device.run(list);
      CommandList* const twice[] = {&list, &list};
      device.submit(twice);
      device.wait();
    }
    EXPECT_EQ(list.timings().size(), timed && device.profile().features.timestamps ? list.command_count() : 0u);
  }
  if (device.profile().features.subgroup_size_control && device.profile().features.subgroup_shuffle) {
    EXPECT_NE(device.pipeline({"test_subgroup", {32}, device.profile().features.max_subgroup_size}), nullptr);
  }
  EXPECT_EQ(download_all<std::uint32_t>(device, a, count), std::vector<std::uint32_t>(count, add_times(1, 240)));
}

TEST_F(Validation, ANormalRunIsSilent) {
  const auto device = Device::open(options());
  exercise(*device);
  EXPECT_EQ(device->validation_messages(), 0u);
  EXPECT_TRUE(messages_.empty()) << messages_.front();
}

TEST_F(Validation, ARunThroughStagingIsSilent) {
  const auto device = open_lowered(R"({"unified_memory": false})", options());
  exercise(*device);
  EXPECT_EQ(device->validation_messages(), 0u);
  EXPECT_TRUE(messages_.empty()) << messages_.front();
}

TEST_F(Validation, AMissingBarrierIsReported) {
  const auto device = Device::open(options());
  const Buffer values = upload_new(*device, std::vector<std::uint32_t>(64, 1), "values");
  const Buffer other = upload_new(*device, std::vector<std::uint32_t>(64, 1), "other");
  const auto barrier = std::exchange(device->impl().table.vkCmdPipelineBarrier, no_barrier);
  {
    CommandList list = device->new_list({"racing", false});
    list.dispatch(add_call(*device, values, 64));
    // A reader: of two shaders that both write, the layer says nothing within a command buffer.
    list.dispatch({device->pipeline({"test_copy", {64, 4}}),
                   {range_of(values, 256), range_of(other, 256)},
                   push_of(CopyPush{1.0f, 0.0f, 64}),
                   {1, 1, 1},
                   "reader"});
    list.end();
    device->impl().table.vkCmdPipelineBarrier = barrier;
    device->run(list);
  }
  EXPECT_GT(device->validation_messages(), 0u) << "synchronization validation is not on";
  ASSERT_FALSE(messages_.empty());
  EXPECT_NE(messages_.front().find("SYNC-HAZARD"), std::string::npos) << messages_.front();
}

TEST_F(Validation, AMissingBarrierBetweenSubmissionsIsReported) {
  const auto device = Device::open(options());
  const Buffer values = upload_new(*device, std::vector<std::uint32_t>(64, 1), "values");
  const auto barrier = std::exchange(device->impl().table.vkCmdPipelineBarrier, no_barrier);
  CommandList list = device->new_list({"racing", false});
  list.dispatch(add_call(*device, values, 64));
  list.end();
  device->impl().table.vkCmdPipelineBarrier = barrier;
  device->impl().submissions->set_budget(1e-12);
  CommandList* const twice[] = {&list, &list};
  device->submit(twice);
  device->wait();
  EXPECT_GT(device->validation_messages(), 0u) << "queue-submit synchronization validation is not on";
}

}  // namespace
}  // namespace fabula::vk
