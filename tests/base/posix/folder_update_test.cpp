#include "base/folder_update.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/folder_versions.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using namespace test;

// Ends a child at its k-th action of a save, for every k, and looks at what is left: before and after recovery, and
// when recovery is cut short too.
TEST(FolderUpdate, ACrashAtAnyStepLeavesOneWholeVersion) {
  bool finished = false;
  bool saw_old = false;
  bool saw_new = false;
  for (int stop_at = 0; !finished; ++stop_at) {
    ASSERT_LT(stop_at, 100);
    TempDir dir;
    save(dir.path(), "one");
    const pid_t child = fork();
    if (child == 0) {
      int step = 0;
      save(dir.path(), "two", [&](std::string_view) {
        if (step++ == stop_at) _exit(7);
      });
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    finished = WEXITSTATUS(status) == 0;
    const std::string seen = version_seen(dir.path());
    EXPECT_TRUE(seen == "one" || seen == "two") << "killed at step " << stop_at << ": " << seen;
    (seen == "one" ? saw_old : saw_new) = true;

    const pid_t recoverer = fork();  // recovery itself dies at its second action
    if (recoverer == 0) {
      int step = 0;
      FolderUpdate::recover(dir.path(), [&](std::string_view) {
        if (step++ == 1) _exit(7);
      });
      _exit(0);
    }
    waitpid(recoverer, &status, 0);
    EXPECT_EQ(version_seen(dir.path()), seen) << "killed at step " << stop_at;
    FolderUpdate::recover(dir.path());
    EXPECT_EQ(version_seen(dir.path()), seen) << "killed at step " << stop_at;
    EXPECT_EQ(listing(dir.path()), std::set<std::string>(kNames.begin(), kNames.end()));
    save(dir.path(), "three");
    EXPECT_EQ(version_seen(dir.path()), "three");
  }
  EXPECT_TRUE(saw_old);
  EXPECT_TRUE(saw_new);
}

// SIGKILL at an uncontrolled moment of a loop of saves.
TEST(FolderUpdate, SurvivesKillsAtRandomMoments) {
  TempDir dir;
  save(dir.path(), "start");
  for (int round = 0; round < 10; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);  // should the test itself die
      for (int version = 0;; ++version) save(dir.path(), std::to_string(version));
    }
    usleep(static_cast<useconds_t>(1500 * round + 700));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_NE(version_seen(dir.path()), "mixed") << "round " << round;
    FolderUpdate::recover(dir.path());
    EXPECT_NE(version_seen(dir.path()), "mixed") << "round " << round;
  }
}

TEST(FolderUpdate, FilesKeepTheirModes) {
  TempDir dir;
  save(dir.path(), "one");
  const auto wanted = std::filesystem::perms::owner_read | std::filesystem::perms::owner_write;
  std::filesystem::permissions(dir / "state.json", wanted);
  std::filesystem::permissions(dir / "model.safetensors", std::filesystem::perms::owner_read);
  save(dir.path(), "two");
  save(dir.path(), "three");
  EXPECT_EQ(version_seen(dir.path()), "three");
  EXPECT_EQ(std::filesystem::status(dir / "state.json").permissions(), wanted);
  EXPECT_EQ(std::filesystem::status(dir / "model.safetensors").permissions(), std::filesystem::perms::owner_read);
}

// A folder unpacked from elsewhere: what its links lead to is neither moved nor removed nor written.
TEST(FolderUpdate, LinksOfItsFoldersAreRefused) {
  for (const char* name : {"checkpoint.ready", "checkpoint.writing"}) {
    TempDir dir;
    save(dir / "run", "one");
    std::filesystem::create_directory(dir / "home");
    write_file_atomically(dir / "home/state.json", "precious");
    std::filesystem::create_symlink("../home", dir / "run" / name);
    expect_error(ErrorCode::kInvalidArgument, {name, "is a link to ../home"},
                 [&] { FolderUpdate::recover(dir / "run"); });
    expect_error(ErrorCode::kInvalidArgument, {name, "is a link to ../home"}, [&] { save(dir / "run", "two"); });
    EXPECT_EQ(read_file(dir / "home/state.json"), "precious");
    EXPECT_EQ(listing(dir / "home").size(), 1u);
    EXPECT_EQ(read_file(dir / "run/state.json"), "state.json one");
  }
}

TEST(FolderUpdate, LinksAmongTheNewFilesAreRefused) {
  TempDir dir;
  save(dir / "run", "one");
  write_file_atomically(dir / "precious", "precious");
  std::filesystem::create_directory(dir / "run/checkpoint.ready");
  write_file_atomically(dir / "run/checkpoint.ready/a", "new");
  std::filesystem::create_symlink("../../precious", dir / "run/checkpoint.ready/metrics.jsonl");
  expect_error(ErrorCode::kInvalidArgument, {"checkpoint.ready/metrics.jsonl", "is a link to ../../precious"},
               [&] { FolderUpdate::recover(dir / "run"); });
  EXPECT_FALSE(std::filesystem::exists(dir / "run/a")) << "all or nothing";
  EXPECT_FALSE(std::filesystem::exists(dir / "run/metrics.jsonl"));
}

TEST(CheckNoLinkOut, RefusesWhatLeadsOutAndNothingElse) {
  TempDir dir;
  std::filesystem::create_directories(dir / "run/data");
  write_file_atomically(dir / "run/inside", "x");
  write_file_atomically(dir / "outside", "x");
  std::filesystem::create_symlink("inside", dir / "run/near");
  std::filesystem::create_symlink("../inside", dir / "run/data/near");
  std::filesystem::create_symlink("../outside", dir / "run/far");
  std::filesystem::create_symlink("missing", dir / "run/nowhere");
  std::filesystem::create_directory(dir / "run and more");
  std::filesystem::create_symlink("../run and more", dir / "run/sibling");
  std::filesystem::create_symlink("run", dir / "link");
  for (const std::filesystem::path& folder : {dir / "run", dir / "link"}) {
    for (const char* good : {"inside", "near", "data", "data/near", "none"}) check_no_link_out(folder, good);
    for (const char* bad : {"far", "nowhere", "sibling"})
      expect_error(ErrorCode::kInvalidArgument, {bad, "is a link to", "remove the link"},
                   [&] { check_no_link_out(folder, bad); });
  }
}

}  // namespace
}  // namespace fabula
