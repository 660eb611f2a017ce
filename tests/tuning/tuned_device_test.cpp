// Which measured choices may be used, and which are left alone.
#include "tuning/tuned_device.hpp"

#include <gtest/gtest.h>

#include "temp_dir.hpp"

namespace fabula::tuning {
namespace {

const TunedDevice kDevice{"a card", "00ff", "12", "driver 1.2"};

TuneFile some_file() {
  TuneFile file{kDevice, {}, {{"gelu", shader_digest("gelu")}, {"add", shader_digest("add")}}};
  file.nodes["one"] = {"a", 1, 2, {"gelu"}};
  file.nodes["two"] = {"b", 1, 2, {"gelu", "add"}};
  return file;
}

std::pair<KernelChoices, std::string> used(const TuneFile& file, const TunedDevice& device = kDevice) {
  std::string note = "of before";
  const KernelChoices choices = usable_choices(file, device, note);
  return {choices, note};
}

TEST(TunedDevice, TakesWhatWasMeasuredThere) {
  ASSERT_NE(shader_digest("gelu"), "");
  EXPECT_NE(shader_digest("gelu"), shader_digest("add"));
  const auto [choices, note] = used(some_file());
  EXPECT_EQ(choices, (KernelChoices{{"one", "a"}, {"two", "b"}}));
  EXPECT_EQ(note, "");
}

TEST(TunedDevice, LeavesForeignFilesAlone) {
  for (auto member : {&TunedDevice::name, &TunedDevice::device_uuid, &TunedDevice::driver_uuid, &TunedDevice::driver}) {
    TunedDevice other = kDevice;
    other.*member = "another";
    const auto [choices, note] = used(some_file(), other);
    EXPECT_TRUE(choices.empty());
    EXPECT_NE(note.find("was measured"), std::string::npos) << note;
  }
  TunedDevice rebuilt = kDevice;
  rebuilt.driver_uuid = "13";
  EXPECT_EQ(used(some_file(), rebuilt).second, "it was measured with another driver 1.2");
  TunedDevice newer = kDevice;
  newer.driver = "driver 1.3";
  const std::string note = used(some_file(), newer).second;
  EXPECT_NE(note.find("driver 1.2"), std::string::npos) << note;
  EXPECT_NE(note.find("driver 1.3"), std::string::npos) << note;
}

TEST(TunedDevice, LeavesChoicesOfOtherKernelsAlone) {
  TuneFile stale = some_file();
  stale.shaders["add"] = "0123456789abcdef";
  auto [choices, note] = used(stale);
  EXPECT_EQ(choices, (KernelChoices{{"one", "a"}}));
  EXPECT_NE(note.find("1 of its 2 choices"), std::string::npos) << note;
  stale = some_file();
  stale.nodes["one"].shaders = {"no_such_shader"};
  EXPECT_EQ(used(stale).first, (KernelChoices{{"two", "b"}}));
}

TEST(TunedDevice, KeepsMeasurementsOfOtherShapes) {
  const test::TempDir dir;
  const auto path = dir / "tune.json";
  add_to_tune_file(path, some_file());
  TuneFile more{kDevice, {}, {{"add", shader_digest("add")}}};
  more.nodes["two"] = {"c", 1, 2, {"add"}};
  more.nodes["three"] = {"d", 1, 2, {"add"}};
  add_to_tune_file(path, more);
  EXPECT_EQ(used(read_tune_file(path)).first, (KernelChoices{{"one", "a"}, {"two", "c"}, {"three", "d"}}));
  TuneFile foreign = more;
  foreign.device.driver = "driver 1.3";
  add_to_tune_file(path, foreign);
  EXPECT_EQ(used(read_tune_file(path), foreign.device).first, (KernelChoices{{"two", "c"}, {"three", "d"}}));
}

}  // namespace
}  // namespace fabula::tuning
