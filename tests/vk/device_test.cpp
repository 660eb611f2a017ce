#include "base/environment.hpp"
#include "vk/device_impl.hpp"
#include "vk/open_device.hpp"

namespace fabula::vk {
namespace {

using test::expect_error;

TEST(Device, IsFound) {
  const auto devices = Device::enumerate(base_options());
  ASSERT_FALSE(devices.empty()) << "no Vulkan device: install mesa-vulkan-drivers";
  EXPECT_TRUE(devices.front().usable);
  for (std::size_t i = 0; i < devices.size(); ++i) {
    EXPECT_EQ(devices[i].index, i);
    EXPECT_FALSE(devices[i].name.empty());
    EXPECT_EQ(devices[i].device_uuid.size(), 32u);
    EXPECT_GT(devices[i].device_memory, 0u);
  }
}

TEST(Device, BestClassComesFirst) {
  const auto rank = [](DeviceClass c) {
    const DeviceClass order[] = {DeviceClass::kDiscrete, DeviceClass::kIntegrated, DeviceClass::kVirtual,
                                 DeviceClass::kOther, DeviceClass::kSoftware};
    return std::find(std::begin(order), std::end(order), c) - std::begin(order);
  };
  const auto devices = Device::enumerate(base_options());
  for (std::size_t i = 1; i < devices.size(); ++i) {
    if (!devices[i].usable) break;
    EXPECT_LE(rank(devices[i - 1].profile.device_class), rank(devices[i].profile.device_class));
  }
}

TEST(Device, OpensByIndexAndPartOfTheName) {
  const auto devices = Device::enumerate(base_options());
  ASSERT_FALSE(devices.empty());
  DeviceOptions options = base_options();
  options.device = "0";
  EXPECT_EQ(Device::open(options)->info().name, devices[0].name);
  options.device = devices[0].name.substr(1, 4);
  for (char& c : options.device) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  EXPECT_EQ(Device::open(options)->info().name, devices[0].name);
  options.device.clear();  // a number of several digits, as in "RTX 4090": no index, but part of a name
  for (char c : devices[0].name + " ") {
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (!digit && options.device.size() > 1) break;
    options.device = digit ? options.device + c : "";
  }
  if (!options.device.empty()) {
    EXPECT_EQ(Device::open(options)->info().name, devices[0].name) << options.device;
  }
  options.device = "no such card";
  expect_error(ErrorCode::kInvalidArgument, {"no such card", devices[0].name}, [&] { Device::open(options); });
  options.device = "99";
  expect_error(ErrorCode::kInvalidArgument, {"99", devices[0].name}, [&] { Device::open(options); });
}

TEST(Device, OpensAnyNumberOfTimes) {
  DeviceOptions options = base_options();
  options.validate = false;
  for (int time = 0; time < 100; ++time) ASSERT_NO_THROW(Device::open(options)) << time;
}

TEST(Device, LoaderWithoutADriverIsExplained) {
  const std::string files = environment("VK_DRIVER_FILES"), names = environment("VK_ICD_FILENAMES");
  set_environment("VK_DRIVER_FILES", "/nonexistent/driver.json");
  set_environment("VK_ICD_FILENAMES", "/nonexistent/driver.json");
  expect_error(ErrorCode::kDevice, {"mesa-vulkan-drivers"}, [] { Device::open(base_options()); });
  expect_error(ErrorCode::kDevice, {"mesa-vulkan-drivers"}, [] { Device::enumerate(base_options()); });
  for (const auto& [name, value] : {std::pair{"VK_DRIVER_FILES", files}, std::pair{"VK_ICD_FILENAMES", names}}) {
    if (value.empty()) {
      unset_environment(name);
    } else {
      set_environment(name, value);
    }
  }
}

TEST(Device, TwoLiveSideBySide) {
  const auto first = Device::open(base_options());
  const Buffer a = upload_new(*first, std::vector<std::uint32_t>(64, 1), "a");
  {
    const auto second = Device::open(base_options());
    const Buffer b = upload_new(*second, std::vector<std::uint32_t>(64, 2), "b");
    CommandList list = second->new_list({"second", false});
    list.dispatch(add_call(*second, b, 64));
    list.end();
    second->run(list);
    EXPECT_EQ(download_all<std::uint32_t>(*second, b, 64), std::vector<std::uint32_t>(64, 7));
  }
  CommandList list = first->new_list({"first", false});
  list.dispatch(add_call(*first, a, 64));
  list.end();
  first->run(list);
  EXPECT_EQ(download_all<std::uint32_t>(*first, a, 64), std::vector<std::uint32_t>(64, 4));
}

}  // namespace
}  // namespace fabula::vk
