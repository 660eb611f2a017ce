#include "base/atomic_file.hpp"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "base/atomic_file_fixture.hpp"
#include "fabula/error.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

class AtomicFileOnPosix : public test::AtomicFileFixture {};

fs::perms mode(const fs::path& path) {
  return fs::status(path).permissions();
}

TEST_F(AtomicFileOnPosix, ALinkStaysALink) {
  fs::create_directory(folder_ / "disk");
  fs::create_symlink(fs::path("disk") / "a", folder_ / "link");
  for (const char* content : {"new", "newer"}) {  // nothing is there at first
    write_file_atomically(folder_ / "link", content);
    EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
    EXPECT_EQ(read(folder_ / "disk" / "a"), content);
  }
}

TEST_F(AtomicFileOnPosix, WhatIsNoFileKeepsItsPlace) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const fs::path& path : {pipe, folder_, fs::path()}) EXPECT_THROW(write_file_atomically(path, "new"), Error);
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_EQ(files(), 1u);
}

TEST_F(AtomicFileOnPosix, AnInputIsNoTarget) {
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

TEST_F(AtomicFileOnPosix, AFileKeepsTheModeThatItsOwnerGaveIt) {
  for (const unsigned bits : {0640u, 0600u, 0444u, 0666u}) {
    const auto wanted = static_cast<fs::perms>(bits);
    write_file_atomically(folder_ / "a", "old");
    fs::permissions(folder_ / "a", wanted);
    {
      AtomicFile file(folder_ / "a");
      file.write(std::string(1 << 20, 'x'));
      for (const fs::directory_entry& entry : fs::directory_iterator(folder_))
        EXPECT_EQ(entry.status().permissions(), wanted) << "nor is the new content open to others before";
      file.commit();
    }
    EXPECT_EQ(mode(folder_ / "a"), wanted);
    EXPECT_EQ(fs::file_size(folder_ / "a"), 1u << 20);
  }
}

TEST_F(AtomicFileOnPosix, ANewFileHasTheModeThatTheUmaskLeaves) {
  for (const unsigned mask : {0002u, 0022u, 0077u}) {
    const mode_t before = ::umask(static_cast<mode_t>(mask));
    const fs::path path = folder_ / std::to_string(mask);
    write_file_atomically(path, "new");
    ::umask(before);
    EXPECT_EQ(static_cast<unsigned>(mode(path)), 0666u & ~mask);
  }
}

// One file of a process that is gone, one that lives, and names that are others'.
TEST_F(AtomicFileOnPosix, LitterOfProcessesThatAreGoneIsRemoved) {
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(folder_ / "model.safetensors");
    file.write(std::string(1 << 20, 'x'));
    ::raise(SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(files(), 1u);
  const std::string of_one_with_our_number = ".x.tmp-" + std::to_string(::getpid()) + "-99";
  for (const std::string& name : {of_one_with_our_number, std::string(".notes.tmp-old"), std::string("a.tmp-1-2"),
                                  std::string(".tmp-1-2"), std::string(".a.tmp-1-2-3")})
    std::ofstream(folder_ / name) << "x";
  fs::create_directory(folder_ / ".folder.tmp-1-2");
  fs::create_symlink(".notes.tmp-old", folder_ / ".link.tmp-1-2");
  AtomicFile alive(folder_ / "state.json");
  alive.write(std::string(1 << 20, 'y'));
  EXPECT_EQ(remove_litter(folder_), 2u);
  EXPECT_FALSE(fs::exists(folder_ / of_one_with_our_number));
  EXPECT_EQ(files(), 7u);
  alive.commit();
  EXPECT_EQ(fs::file_size(folder_ / "state.json"), 1u << 20);
  EXPECT_EQ(remove_litter(folder_), 0u);
  EXPECT_EQ(remove_litter(folder_ / "none"), 0u);
}

// What a former process of our number has left is neither written into nor in the way.
TEST_F(AtomicFileOnPosix, ATemporaryNameIsFresh) {
  const std::string start = ".a.tmp-" + std::to_string(::getpid()) + "-";
  std::ofstream(folder_ / "precious") << "precious";
  for (int i = 0; i < 300; ++i) fs::create_symlink("precious", folder_ / (start + std::to_string(i)));
  write_file_atomically(folder_ / "a", "new");
  EXPECT_EQ(read(folder_ / "a"), "new");
  EXPECT_EQ(read(folder_ / "precious"), "precious");
}

TEST_F(AtomicFileOnPosix, ErrorsNameTheFileThatWasAskedFor) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    bool good = true;
    for (const char* name : {"story.txt", "checkpoint.writing/model.safetensors"}) {
      fs::create_directories((folder_ / name).parent_path());
      try {
        write_file_atomically(folder_ / name, std::string(2000, 'x'));
        good = false;
      } catch (const Error& error) {
        const std::string text = error.what();
        const std::string asked_for = (folder_ / fs::path(name).filename()).string();
        good = good && text.starts_with(asked_for + ": ") && text.find(".tmp-") == text.npos &&
               text.find("checkpoint.writing") == text.npos;
      }
    }
    ::_exit(good ? 7 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

}  // namespace
}  // namespace fabula
