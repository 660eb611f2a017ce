#include <mutex>
#include <vector>

#include "api_test.hpp"

namespace fabula::test {
namespace {

TEST(ApiDevices, AreListedAndDescribed) {
  const std::vector<DeviceInfo> devices = list_devices();
  ASSERT_FALSE(devices.empty());
  EXPECT_FALSE(devices.front().name.empty());
  EXPECT_EQ(devices.front().why_not, "");
  EXPECT_GT(devices.front().memory, 0U);
  const DeviceInfo own = device().info();
  EXPECT_EQ(own.name, devices.front().name);
  EXPECT_EQ(own.driver, devices.front().driver);
  int told = 0;
  const fabula_device_callback once = [](void* user, const fabula_device_info*) { return ++*static_cast<int*>(user); };
  EXPECT_EQ(fabula_list_devices(once, &told), FABULA_OK);
  EXPECT_EQ(told, 1) << "the list goes on though the callback returned other than 0";
}

TEST(ApiDevices, ThatAreNotThereOrCannotBeAreRefused) {
  DeviceOptions options;
  options.device = "no such device";
  expect_thrown([&] { Device{options}; }, FABULA_INVALID_ARGUMENT, "no such device");
  options.device.clear();
  options.wait_limit = -1;
  expect_thrown([&] { Device{options}; }, FABULA_INVALID_ARGUMENT, "wait_limit");
}

TEST(ApiDevices, AreChecked) {
  CheckOptions options;
  options.filter = "fill";
  options.repeats = 2;
  std::uint64_t told = 0;
  const CheckCounts counts = device().check(options, [&](const fabula_check_result& result) {
    ++told;
    EXPECT_STREQ(result.op, "fill");
    EXPECT_EQ(result.ok, 1) << result.detail;
  });
  EXPECT_GT(counts.checks, 0U);
  EXPECT_EQ(counts.checks, told);
  EXPECT_EQ(counts.misses, 0U);
  EXPECT_EQ(device().check(options, [](const fabula_check_result&) { return false; }).checks, 1U);
  options.filter = "no such op";
  expect_thrown([&] { device().check(options); }, FABULA_INVALID_ARGUMENT, "no such op");
  options.filter = "fill";
  options.repeats = -1;
  expect_thrown([&] { device().check(options); }, FABULA_INVALID_ARGUMENT, "-1");
}

TEST(ApiLog, GetsMessagesAndNothingIsPrinted) {
  const std::string folder = grouped_model().string();
  std::vector<std::string> messages;
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  set_log([&](fabula_log_level, std::string_view message) { messages.emplace_back(message); });
  {
    DeviceOptions options;
    options.cache_dir = folder + "/config.json/cache";  // no folder can be there, which is worth a message
    options.self_test = false;
    const Device own(options);
    Session(own, Model(folder)).generate("a", text_options(3));
  }
  set_log(nullptr);
  const std::size_t told = messages.size();
  {
    DeviceOptions options;
    options.cache_dir = folder + "/config.json/cache";
    options.self_test = false;
    const Device own(options);
    Session(own, Model(folder)).generate("a", text_options(3));
  }
  EXPECT_THROW(Model("/nothing/here"), ApiError);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_GT(told, 0U);
  EXPECT_EQ(messages.size(), told) << "after the log was taken away";
}

}  // namespace
}  // namespace fabula::test
