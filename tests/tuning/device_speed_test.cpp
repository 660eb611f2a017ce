// Device profiles: what is written is what is read, named ones have a source for every number, and bad ones name the
// field that is wrong.
#include "tuning/device_speed.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "expect_error.hpp"
#include "temp_dir.hpp"

namespace fabula::tuning {
namespace {

using test::expect_error;

DeviceSpeed some_speed() {
  DeviceSpeed speed;
  speed.name = "a device";
  speed.note = "measured";
  speed.profile.name = "a device";
  speed.profile.device_class = vk::DeviceClass::kIntegrated;
  speed.profile.limits.max_storage_range = 1 << 28;
  speed.profile.limits.max_workgroup_subgroups = 56;
  speed.profile.features.full_subgroups = true;
  speed.profile.features.min_subgroup_size = 8;
  speed.profile.features.max_subgroup_size = 32;
  speed.profile.faults = {{"gelu()", 12}};
  speed.limits_source = "the driver";
  speed.choices = {{"matmul 1x2", "tile64"}};
  speed.memory = {4e9, "the driver"};
  speed.flops = {1e12, "measured"};
  speed.copies = {{1e5, 9e10}, {1e9, 3e10}};
  speed.copies_source = "measured";
  speed.launch = {2e-6, "measured"};
  speed.submission = {3e-5, "measured"};
  speed.upload = {1e10, "measured"};
  speed.download = {2e10, "measured"};
  speed.kernels = {{"gelu gelu", {{1e-5, 0.5}, {1e-3, 0.9}}}, {"matmul", {{1e-4, 0.6}}}};
  speed.kernels_source = "measured";
  return speed;
}

/// The text of some_speed with one part of it replaced.
std::string with(const std::string& part, const std::string& other) {
  std::string text = device_speed_json(some_speed());
  const std::size_t at = text.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  return at == std::string::npos ? text : text.replace(at, part.size(), other);
}

void refuse(const std::string& text, const std::vector<std::string>& parts,
            ErrorCode code = ErrorCode::kInvalidArgument) {
  expect_error(code, parts, [&] { parse_device_speed(text, "my.json"); });
}

TEST(DeviceSpeed, IsReadAsItWasWritten) {
  const std::string text = device_speed_json(some_speed());
  const DeviceSpeed read = parse_device_speed(text, "my.json");
  EXPECT_EQ(device_speed_json(read), text);
  EXPECT_EQ(read.name, "a device");
  EXPECT_EQ(read.copies.at(1).per_second, 3e10);
  EXPECT_EQ(read.kernels.at("gelu gelu").at(1).share, 0.9);
  EXPECT_EQ(read.launch.value, 2e-6);
  EXPECT_EQ(read.download.value, 2e10);
  EXPECT_EQ(read.choices, some_speed().choices);
  EXPECT_EQ(read.profile.faults, some_speed().profile.faults);
  EXPECT_EQ(read.profile.limits.max_storage_range, 1u << 28);
  EXPECT_EQ(read.profile.limits.max_workgroup_subgroups, 56u);
  EXPECT_EQ(read.profile.features.min_subgroup_size, 8u);
  EXPECT_EQ(read.profile.features.max_subgroup_size, 32u);
  EXPECT_TRUE(read.profile.features.full_subgroups);
  EXPECT_FALSE(read.profile.features.float16);
  EXPECT_EQ(read.profile.device_class, vk::DeviceClass::kIntegrated);
  const vk::DeviceInfo info = device_info(read);
  EXPECT_EQ(info.usable_memory(), 4'000'000'000u);
  EXPECT_EQ(info.profile.name, "a device");
}

TEST(DeviceSpeed, BadFilesNameTheField) {
  refuse("{", {"my.json"}, ErrorCode::kFormat);
  refuse("[]", {"my.json", "one JSON object"});
  refuse("{}", {"my.json", "\"format\" is missing"});
  refuse(with("\"format\": 1", "\"format\": 9"), {"\"format\" is 9", "reads 1"});
  refuse(with("\"launch\"", "\"lunch\""), {"my.json", "\"launch\" is missing"});
  refuse(with("\"choices\"", "\"choises\""), {"my.json", "\"choises\" is no field here", "did you mean \"choices\""});
  refuse(with("\"value\": 1000000000000.0", "\"value\": -3"), {"my.json.flops.value", "above 0", "-3"});
  refuse(with("\"value\": 1000000000000.0", "\"value\": 1e300"), {"my.json.flops.value", "at most"});
  refuse(with("\"value\": 1000000000000.0", "\"value\": \"fast\""), {"my.json.flops.value", "fast"});
  refuse(with("\"value\": 1000000000000.0,", ""), {"my.json.flops", "\"value\" is missing"});
  refuse(with("\"name\": \"a device\"", "\"name\": 7"), {"my.json.name", "expected a text"});
  refuse(with("\"max_storage_range\"", "\"max_storage_rage\""), {"my.json.limits", "max_storage_rage"});
  refuse(with("\"gelu()\": 12", "\"gelu()\": -1"), {"my.json.faults", "gelu()"});
  refuse(with("\"matmul 1x2\": \"tile64\"", "\"matmul 1x2\": 3"), {"my.json.choices", "matmul 1x2"});
}

TEST(DeviceSpeed, PointsRiseAndArePairs) {
  DeviceSpeed falling = some_speed();
  std::swap(falling.copies[0], falling.copies[1]);
  refuse(device_speed_json(falling), {"my.json.copies.rates[1]", "does not rise"});
  DeviceSpeed empty = some_speed();
  empty.copies.clear();
  refuse(device_speed_json(empty), {"my.json.copies.rates", "expected a list of pairs"});
  DeviceSpeed none = some_speed();
  none.kernels.at("matmul").front().share = 0;
  refuse(device_speed_json(none), {"my.json.kernels.shares.matmul[0]", "above 0"});
}

TEST(NamedDevices, HaveASourceForEveryNumber) {
  std::set<std::string> names;
  for (const DeviceSpeed& speed : named_devices()) {
    EXPECT_TRUE(names.insert(speed.name).second) << speed.name;
    for (const Figure* figure : {&speed.memory, &speed.flops, &speed.launch, &speed.submission})
      EXPECT_GT(figure->source.size(), 10u) << speed.name << ": " << figure->value;
    for (const std::string* source : {&speed.copies_source, &speed.kernels_source, &speed.limits_source, &speed.note})
      EXPECT_GT(source->size(), 10u) << speed.name;
    EXPECT_NE(speed.note.find("not measured"), std::string::npos) << speed.name;
    EXPECT_EQ(speed.upload.value, 0) << speed.name << ": nobody told";
    EXPECT_GT(speed.memory.value, 1e9) << speed.name;
  }
  EXPECT_GE(names.size(), 10u);
}

TEST(NamedDevices, AreFoundByNameAndFilesByPath) {
  EXPECT_EQ(find_device_speed("steam deck").name, "Steam Deck");
  const test::TempDir dir;
  const std::string path = (dir / "my.json").string();
  std::ofstream(path) << device_speed_json(some_speed());
  EXPECT_EQ(find_device_speed(path).name, "a device");
  expect_error(ErrorCode::kInvalidArgument,
               {"\"Adreno 704\"", "did you mean \"Adreno 740\"", "Steam Deck", "Raspberry Pi 5", "bench roof --save"},
               [] { find_device_speed("Adreno 704"); });
}

}  // namespace
}  // namespace fabula::tuning
