#include "base/atomic_file.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <vector>

#include "fabula/error.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

class AtomicFileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("atomic_file_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  static std::string read(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

TEST_F(AtomicFileTest, AppearsWholeOnCommit) {
  const fs::path path = folder_ / "a";
  write_file_atomically(path, "old");
  AtomicFile file(path);
  file.write("????tail");
  file.write_at(0, "head", 4);
  file.write("!");
  EXPECT_EQ(read(path), "old");
  file.commit();
  EXPECT_EQ(read(path), "headtail!");
  EXPECT_EQ(files(), 1u);
}

TEST_F(AtomicFileTest, AbandonedLeavesNothing) {
  const fs::path path = folder_ / "a";
  write_file_atomically(path, "old");
  { AtomicFile(path).write("new"); }
  EXPECT_EQ(read(path), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_F(AtomicFileTest, MissingFolderIsAnError) {
  try {
    AtomicFile file(folder_ / "none" / "a");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_NE(std::string(error.what()).find("none"), std::string::npos);
  }
}

TEST_F(AtomicFileTest, ALinkStaysALink) {
  fs::create_directory(folder_ / "disk");
  fs::create_symlink(fs::path("disk") / "a", folder_ / "link");
  for (const char* content : {"new", "newer"}) {  // nothing is there at first
    write_file_atomically(folder_ / "link", content);
    EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
    EXPECT_EQ(read(folder_ / "disk" / "a"), content);
  }
}

TEST_F(AtomicFileTest, WhatIsNoFileKeepsItsPlace) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const fs::path& path : {pipe, folder_, fs::path()}) EXPECT_THROW(write_file_atomically(path, "new"), Error);
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_EQ(files(), 1u);
}

TEST_F(AtomicFileTest, AnInputIsNoTarget) {
  const fs::path path = folder_ / "a";
  write_file_atomically(path, "text");
  fs::create_symlink("a", folder_ / "link");
  const std::vector<fs::path> inputs{folder_ / "missing", path};
  EXPECT_EQ(checked_target(folder_ / "b", inputs), folder_ / "b");
  for (const char* name : {"a", "link"}) {
    try {
      checked_target(folder_ / name, inputs);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    }
  }
}

}  // namespace
}  // namespace fabula
