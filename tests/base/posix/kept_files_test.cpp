#include "base/kept_files.hpp"

#include <gtest/gtest.h>

#include "base/atomic_file.hpp"
#include "base/file_io.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

TEST(KeptFiles, ALinkIsKeptAsWhatItLeadsTo) {
  test::TempDir dir;
  const std::vector<std::string> names{"model", "state"};
  for (const std::string& name : names) write_file_atomically(dir / name, name + " one");
  write_file_atomically(dir / "elsewhere", "far away");
  fs::remove(dir / "model");
  fs::create_symlink("elsewhere", dir / "model");
  keep_files(dir.path(), names, dir / "kept");
  EXPECT_FALSE(fs::is_symlink(dir / "kept/model"));
  EXPECT_EQ(read_file(dir / "kept/model"), "far away");
}

}  // namespace
}  // namespace fabula
