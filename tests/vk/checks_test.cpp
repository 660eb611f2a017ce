// What the device layer refuses: a mistake above it must end in a message, never in undefined behaviour of a driver.
#include "vk/open_device.hpp"

namespace fabula::vk {
namespace {

using test::expect_error;

class Checks : public testing::Test {
 protected:
  void SetUp() override {
    device_ = Device::open(base_options());
    values_ = upload_new(*device_, std::vector<std::uint32_t>(4096, 0), "values");
  }
  /// Expects that recording a changed copy of a good call fails.
  void refused(const std::vector<std::string>& parts, const std::function<void(DispatchCall&)>& change) {
    DispatchCall call = add_call(*device_, values_, 64);
    change(call);
    CommandList list = device_->new_list({"bad", false});
    expect_error(ErrorCode::kInternal, parts, [&] { list.dispatch(call); });
    list.end();
    EXPECT_NO_THROW(device_->run(list)) << "a refused command leaves the list usable";
  }
  std::unique_ptr<Device> device_;
  Buffer values_;
};

TEST_F(Checks, Dispatches) {
  refused({"no pipeline"}, [](auto& call) { call.pipeline = nullptr; });
  refused({"test_add", "0 bindings", "takes 1"}, [](auto& call) { call.bindings.clear(); });
  refused({"8 bytes of push constants", "takes 4"}, [](auto& call) { call.push.resize(8); });
  refused({"0 x 1 x 1"}, [](auto& call) { call.groups[0] = 0; });
  refused({"65536", "65535"}, [](auto& call) { call.groups[1] = 65536; });
  refused({"binding 0", "no buffer"}, [](auto& call) { call.bindings[0].buffer = nullptr; });
  refused({"binding 0", "values", "16384"}, [](auto& call) { call.bindings[0].size = 16388; });
  refused({"binding 0", "values"}, [](auto& call) {
    call.bindings[0] = {call.bindings[0].buffer, ~std::uint64_t{0}, 256};
  });
  refused({"offset 4"}, [](auto& call) { call.bindings[0].offset = 4; });
  refused({"binding 0"}, [](auto& call) { call.bindings[0].size = 0; });
  refused({"whole number of words"}, [](auto& call) { call.bindings[0].size = 7; });
}

TEST_F(Checks, ListLife) {
  CommandList list = device_->new_list({"life", false});
  expect_error(ErrorCode::kInternal, {"life", "end()"}, [&] { device_->run(list); });
  list.end();
  expect_error(ErrorCode::kInternal, {"twice"}, [&] { list.end(); });
  expect_error(ErrorCode::kInternal, {"after end()"}, [&] { list.fill(range_of(values_, 4), 0); });
}

TEST_F(Checks, FillsAndCopies) {
  CommandList list = device_->new_list({"bad", false});
  expect_error(ErrorCode::kInternal, {"whole words"}, [&] { list.fill(range_of(values_, 6), 0); });
  expect_error(ErrorCode::kInternal, {"values"}, [&] { list.fill(range_of(values_, 64, 16380), 0); });
  expect_error(ErrorCode::kInternal, {"64", "32"},
               [&] { list.copy(range_of(values_, 64), range_of(values_, 32, 1024)); });
  expect_error(ErrorCode::kInternal, {"overlap"}, [&] { list.copy(range_of(values_, 64), range_of(values_, 64, 32)); });
}

TEST_F(Checks, PipelinesMadeSideBySide) {
  const KernelKey known{"test_copy", {64, 4}};
  const Pipeline* before = device_->pipeline(known);
  std::vector<KernelKey> keys{known};
  for (std::uint32_t size = 8; size <= 64; size += 8) keys.insert(keys.end(), 2, KernelKey{"test_copy", {size, 4}});
  device_->prepare_pipelines(keys);
  EXPECT_EQ(device_->pipeline(known), before);
  for (const KernelKey& key : keys) EXPECT_EQ(device_->workgroup_size(*device_->pipeline(key))[0], key.constants[0]);
  keys = {{"test_copy", {24, 2}}, {"test_copy", {64}}, {"test_copy", {40, 2}}};
  expect_error(ErrorCode::kInternal, {"takes 2", "1 were given"}, [&] { device_->prepare_pipelines(keys); });
  EXPECT_EQ(device_->workgroup_size(*device_->pipeline(keys[0]))[0], 24u) << "a failure leaves the store usable";
}

TEST_F(Checks, Pipelines) {
  expect_error(ErrorCode::kInternal, {"no shader \"test_nothing\""}, [&] { device_->pipeline({"test_nothing", {}}); });
  expect_error(ErrorCode::kInternal, {"takes 2", "1 were given"}, [&] { device_->pipeline({"test_copy", {64}}); });
  expect_error(ErrorCode::kInternal, {"workgroups of 100000x1x1"}, [&] {
    device_->pipeline({"test_copy", {100000, 4}});
  });
  expect_error(ErrorCode::kInternal, {"subgroups of 3"}, [&] { device_->pipeline({"test_copy", {96, 4}, 3}); });
}

/// Every limit of a profile holds, whatever the driver itself would take.
TEST(Profile, IsEnforced) {
  DeviceOptions minimum = base_options();
  minimum.limits = "vulkan-minimum";
  const auto device = Device::open(minimum);
  expect_error(ErrorCode::kInternal, {"test_copy_wide", "256x1x1", "128"}, [&] {
    device->pipeline({"test_copy_wide", {}});
  });
  expect_error(ErrorCode::kInternal, {"shared memory", "16392"}, [&] { device->pipeline({"test_copy", {64, 2049}}); });
  expect_error(ErrorCode::kInternal, {"test_subgroup", "feature"}, [&] { device->pipeline({"test_subgroup", {32}}); });
  expect_error(ErrorCode::kInternal, {"cannot require"}, [&] {
    device->pipeline({"test_add", {}, device->profile().features.subgroup_size});
  });
  EXPECT_NO_THROW(device->pipeline({"test_copy", {128, 2048}}));

  const std::uint64_t most = device->profile().limits.max_storage_range;
  const Buffer large = device->allocate(most + 256, MemoryUse::kDevice, "large");
  CommandList list = device->new_list({"large", false});
  DispatchCall call = add_call(*device, large, 64);
  call.bindings[0].size = most;
  EXPECT_NO_THROW(list.dispatch(call));
  call.bindings[0].size = most + 4;
  expect_error(ErrorCode::kInternal, {"134217732", "134217728"}, [&] { list.dispatch(call); });
  call.bindings[0] = range_of(large, 256, 128);
  expect_error(ErrorCode::kInternal, {"offset 128", "256"}, [&] { list.dispatch(call); });

  const std::uint32_t count = 1;
  DispatchCall texel{device->pipeline({"test_texel", {}}),
                     {range_of(large, 65536 * 16), range_of(large, 256, most)},
                     push_of(count),
                     {1, 1, 1},
                     "texel"};
  EXPECT_NO_THROW(list.dispatch(texel));
  texel.bindings[0].size += 16;
  expect_error(ErrorCode::kInternal, {"texel", "1048592", "1048576"}, [&] { list.dispatch(texel); });
  texel.bindings[0].size = 24;
  expect_error(ErrorCode::kInternal, {"RGBA32F"}, [&] { list.dispatch(texel); });
}

TEST(Profile, StorageBufferCountIsEnforced) {
  const auto device = open_lowered(R"({"max_storage_buffers": 1, "max_push_constants": 8})");
  expect_error(ErrorCode::kInternal, {"binds 2 storage buffers", "takes 1"}, [&] {
    device->pipeline({"test_copy", {64, 4}});
  });
  const auto small = open_lowered(R"({"max_push_constants": 8})");
  expect_error(ErrorCode::kInternal, {"12 bytes", "8"}, [&] { small->pipeline({"test_copy", {64, 4}}); });
}

}  // namespace
}  // namespace fabula::vk
