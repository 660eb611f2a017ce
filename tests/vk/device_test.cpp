#include <numeric>

#include "expect_error.hpp"
#include "vk/open_device.hpp"

namespace fabula::vk {
namespace {

using test::expect_error;

struct CopyPush {
  float factor, bias;
  std::uint32_t count;
};

TEST(Device, IsFound) {
  const auto devices = Device::enumerate(test_options());
  ASSERT_FALSE(devices.empty()) << "no Vulkan device: install mesa-vulkan-drivers";
  EXPECT_TRUE(devices.front().usable);
  for (std::size_t i = 0; i < devices.size(); ++i) EXPECT_EQ(devices[i].index, i);
}

TEST(Device, OpensByIndexAndPartOfTheName) {
  const auto devices = Device::enumerate(test_options());
  ASSERT_FALSE(devices.empty());
  DeviceOptions options = test_options();
  options.device = "0";
  EXPECT_EQ(Device::open(options)->info().name, devices[0].name);
  options.device = devices[0].name.substr(1, 4);
  EXPECT_EQ(Device::open(options)->info().name, devices[0].name);
  options.device = "no such card";
  expect_error(ErrorCode::kInvalidArgument, {"no such card", devices[0].name}, [&] { Device::open(options); });
  options.device = "99";
  expect_error(ErrorCode::kInvalidArgument, {"99"}, [&] { Device::open(options); });
}

class DeviceRun : public testing::Test {
 protected:
  static void SetUpTestSuite() { device_ = Device::open(test_options()).release(); }
  static void TearDownTestSuite() { delete device_; }
  static inline Device* device_ = nullptr;
};

TEST_F(DeviceRun, CopiesThroughAKernelAtOddSizes) {
  const Pipeline* pipeline = device_->pipeline({"test_copy", {96, 5}});
  EXPECT_EQ(pipeline, device_->pipeline({"test_copy", {96, 5}}));
  EXPECT_EQ(device_->workgroup_size(*pipeline), (std::array<std::uint32_t, 3>{96, 1, 1}));
  for (std::uint32_t count : {1u, 95u, 96u, 97u, 10001u}) {
    std::vector<float> values(count);
    std::iota(values.begin(), values.end(), 1.0f);
    const Buffer from = upload_new(*device_, values, "from");
    const Buffer to = upload_new(*device_, std::vector<float>(count + 1, -7.0f), "to");
    CommandList list = device_->new_list({"copy", false});
    list.dispatch({pipeline,
                   {range_of(from, count * 4), range_of(to, (count + 1) * 4)},
                   push_of(CopyPush{2.0f, 0.5f, count}),
                   {groups_for(count, 96), 1, 1},
                   "copy"});
    list.end();
    device_->run(list);
    const auto result = download_all<float>(*device_, to, count + 1);
    for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(result[i], values[i] * 2.0f + 0.5f) << i << " of " << count;
    EXPECT_EQ(result[count], -7.0f);
  }
}

}  // namespace
}  // namespace fabula::vk
