#include <filesystem>
#include <fstream>

#include "log_capture.hpp"
#include "vk/device_impl.hpp"
#include "vk/open_device.hpp"

namespace fabula::vk {
namespace {

namespace fs = std::filesystem;

class CacheFile : public testing::Test {
 protected:
  /// Opens a device with its cache in the folder, makes a pipeline, runs it, closes; returns whether a good file was
  /// found.
  bool session() {
    DeviceOptions options = base_options();
    options.cache_dir = (dir_ / "cache").string();
    const auto device = Device::open(options);
    PipelineCache probe(device->impl().ref(), device->impl().physical, options.cache_dir);
    file_ = probe.path();
    const Buffer values = upload_new(*device, std::vector<std::uint32_t>(64, 1), "values");
    CommandList list = device->new_list({"list", false});
    list.dispatch(add_call(*device, values, 64));
    list.end();
    device->run(list);
    EXPECT_EQ(download_all<std::uint32_t>(*device, values, 64), std::vector<std::uint32_t>(64, 4));
    return probe.loaded();
  }
  std::string read() const {
    std::ifstream stream(file_, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  void write(const std::string& bytes) const { std::ofstream(file_, std::ios::binary) << bytes; }

  test::TempDir dir_;
  fs::path file_;
};

TEST_F(CacheFile, IsWrittenAndFoundAgain) {
  EXPECT_FALSE(session());
  ASSERT_TRUE(fs::exists(file_));
  EXPECT_NE(file_.filename().string().find(Device::open(base_options())->info().device_uuid), std::string::npos);
  EXPECT_TRUE(session());
  int files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(dir_ / "cache")) ++files;
  EXPECT_EQ(files, 1) << "no temporary file stays behind";
}

TEST_F(CacheFile, DamageIsIgnoredAndRepaired) {
  session();
  const std::string good = read();
  ASSERT_GT(good.size(), 24u);
  std::vector<std::string> damaged{"",
                                   "x",
                                   good.substr(0, 10),
                                   good.substr(0, 24),
                                   good.substr(0, good.size() - 1),
                                   good + "x",
                                   std::string(good.size(), '\0')};
  for (std::size_t at : {std::size_t{0}, std::size_t{9}, std::size_t{17}, std::size_t{25}, good.size() - 1}) {
    damaged.push_back(good);
    damaged.back()[at] ^= 0x40;
  }
  for (const std::string& bytes : damaged) {
    write(bytes);
    EXPECT_FALSE(session()) << bytes.size() << " bytes";
    EXPECT_EQ(read().size(), good.size()) << "a good file stands there again";
    EXPECT_TRUE(session());
  }
}

TEST_F(CacheFile, AFolderThatCannotBeMadeCostsNothing) {
  std::ofstream(dir_ / "cache") << "a file in the way";
  EXPECT_FALSE(session());
}

// A link to itself is a folder that nobody may look into, root included.
TEST_F(CacheFile, AFolderThatCannotBeReadCostsAWarning) {
  fs::create_symlink("cache", dir_ / "cache");
  const test::LogCapture log;
  EXPECT_FALSE(session());
  const std::string said = log.text();
  EXPECT_NE(said.find("warning: going on without a cache"), std::string::npos) << said;
  EXPECT_NE(said.find((dir_ / "cache").string()), std::string::npos) << said;
  EXPECT_TRUE(file_.empty());
}

TEST_F(CacheFile, WhatCannotBeWrittenIsSaidOnce) {
  std::ofstream(dir_ / "cache") << "a file in the way";
  DeviceOptions options = base_options();
  options.cache_dir = (dir_ / "cache").string();
  const test::LogCapture log;
  {
    const auto device = Device::open(options);
    const Buffer values = upload_new(*device, std::vector<std::uint32_t>(64, 1), "values");
    CommandList list = device->new_list({"list", false});
    list.dispatch(add_call(*device, values, 64));
    list.end();
    device->save_pipeline_cache();
    device->save_pipeline_cache();
  }
  const std::string said = log.text();
  const std::size_t first = said.find("warning: ");
  EXPECT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find("warning: ", first + 1), std::string::npos) << said;
}

}  // namespace
}  // namespace fabula::vk
