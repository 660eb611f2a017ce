#include "base/atomic_file.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>
#include <iterator>

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

}  // namespace
}  // namespace fabula
