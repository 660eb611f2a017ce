#include "base/kept_files.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/atomic_file.hpp"
#include "base/file_io.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;
const std::vector<std::string> kNames{"model", "state"};

void write_all(const fs::path& folder, const std::string& version) {
  for (const std::string& name : kNames) write_file_atomically(folder / name, name + " " + version);
}

std::set<std::string> listing(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

TEST(KeptFiles, StayAsTheyWere) {
  test::TempDir dir;
  write_all(dir.path(), "one");
  keep_files(dir.path(), kNames, dir / "kept");
  write_all(dir.path(), "two");
  EXPECT_EQ(read_file(dir / "kept/model"), "model one");
  EXPECT_EQ(read_file(dir / "kept/state"), "state one");
  EXPECT_EQ(read_file(dir / "model"), "model two");
  keep_files(dir.path(), std::vector<std::string>{"state"}, dir / "kept");
  EXPECT_EQ(listing(dir / "kept"), (std::set<std::string>{"state"}));
  EXPECT_EQ(read_file(dir / "kept/state"), "state two");
  discard_kept(dir / "kept");
  discard_kept(dir / "kept");
  EXPECT_EQ(listing(dir.path()), (std::set<std::string>{"model", "state"}));
}

TEST(KeptFiles, AFileThatIsMissingKeepsNothing) {
  test::TempDir dir;
  write_file_atomically(dir / "model", "one");
  test::expect_error(ErrorCode::kIo, {"state"}, [&] { keep_files(dir.path(), kNames, dir / "kept"); });
  EXPECT_FALSE(fs::exists(dir / "kept"));
  write_all(dir.path(), "two");
  keep_files(dir.path(), kNames, dir / "kept");  // what the first has left is no hindrance
  EXPECT_EQ(listing(dir / "kept"), (std::set<std::string>{"model", "state"}));
  discard_unfinished(dir / "kept");
  EXPECT_EQ(listing(dir.path()), (std::set<std::string>{"kept", "model", "state"}));
}

}  // namespace
}  // namespace fabula
