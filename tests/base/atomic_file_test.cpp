#include "base/atomic_file.hpp"

#include <gtest/gtest.h>

#include "base/atomic_file_fixture.hpp"
#include "fabula/error.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

class AtomicFileTest : public test::AtomicFileFixture {};

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
