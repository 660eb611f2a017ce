#include "base/folder_update.hpp"

#include <gtest/gtest.h>

#include "base/folder_versions.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using namespace test;

TEST(FolderUpdate, ReplacesFilesTogetherAndKeepsOthers) {
  TempDir dir;
  save(dir / "run", "one");
  write_file_atomically(dir / "run/config.json", "kept");
  EXPECT_EQ(version_seen(dir / "run"), "one");
  save(dir / "run", "two");
  EXPECT_EQ(version_seen(dir / "run"), "two");
  EXPECT_EQ(read_file(dir / "run/config.json"), "kept");
  EXPECT_EQ(listing(dir / "run").size(), kNames.size() + 1);
}

TEST(FolderUpdate, WithoutCommitNothingChanges) {
  TempDir dir;
  save(dir.path(), "one");
  {
    FolderUpdate update(dir.path());
    write_file_atomically(update.path_of("state.json"), "half");
  }
  EXPECT_EQ(version_seen(dir.path()), "one");
  EXPECT_EQ(listing(dir.path()).size(), kNames.size());
}

// The same with exceptions (a full disk, say) instead of a crash.
TEST(FolderUpdate, AnErrorAtAnyStepLeavesOneWholeVersion) {
  bool finished = false;
  for (int stop_at = 0; !finished; ++stop_at) {
    ASSERT_LT(stop_at, 100);
    TempDir dir;
    save(dir.path(), "one");
    int step = 0;
    try {
      save(dir.path(), "two", [&](std::string_view) {
        if (step++ == stop_at) throw Error(ErrorCode::kIo, "injected");
      });
      finished = true;
    } catch (const Error&) {
    }
    const std::string seen = version_seen(dir.path());
    EXPECT_TRUE(seen == "one" || seen == "two") << "failed at step " << stop_at << ": " << seen;
    FolderUpdate::recover(dir.path());
    EXPECT_EQ(version_seen(dir.path()), seen);
  }
}

TEST(FolderUpdate, RecoverLeavesAMissingFolderAlone) {
  TempDir dir;
  FolderUpdate::recover(dir / "none");
  EXPECT_FALSE(std::filesystem::exists(dir / "none"));
}

}  // namespace
}  // namespace fabula
