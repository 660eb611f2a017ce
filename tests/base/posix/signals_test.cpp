#include "base/signals.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>

#include "base/atomic_file.hpp"
#include "base/temporary_folder.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

// Runs the body in a child of default signal handling; how it ended: its exit status, or 1000 and the signal.
template <class Body>
int end_of_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGXFSZ}) std::signal(signal, SIG_DFL);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

std::size_t entries(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(StopSignals, FirstAsksSecondEnds) {
  const pid_t child = fork();
  if (child == 0) {
    StopSignals signals;
    if (signals.requested()) _exit(1);
    raise(SIGINT);
    if (!signals.requested()) _exit(2);
    raise(SIGINT);
    _exit(3);  // not reached
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
  EXPECT_EQ(WTERMSIG(status), SIGINT);
}

TEST(StopSignals, RestoresTheFormerHandlers) {
  const auto former = std::signal(SIGTERM, SIG_IGN);
  {
    StopSignals signals;
    raise(SIGTERM);
    EXPECT_TRUE(signals.requested());
  }
  raise(SIGTERM);  // ignored again
  EXPECT_EQ(std::signal(SIGTERM, former), SIG_IGN);
}

TEST(StopSignals, AHangUpStopsTooUnlessItIsIgnored) {
  EXPECT_EQ(end_of_child([] {
              StopSignals signals;
              raise(SIGHUP);
              return signals.requested() ? 7 : 1;
            }),
            7);
  EXPECT_EQ(end_of_child([] {
              std::signal(SIGHUP, SIG_IGN);  // as nohup does
              StopSignals signals;
              raise(SIGHUP);
              raise(SIGHUP);
              return signals.requested() ? 1 : 7;
            }),
            7);
}

TEST(PrepareProcess, ASignalThatEndsTheProgramRemovesTemporaryFiles) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    for (const bool stop_signals : {false, true}) {
      test::TempDir dir;
      write_file_atomically(dir / "b", "old");
      const int end = end_of_child([&] {
        setenv("TMPDIR", dir.path().c_str(), 1);
        prepare_process();
        const TemporaryFolder folder;
        AtomicFile one(dir / "a"), two(dir / "b"), inside(folder.path() / "c"), done(dir / "d");
        one.write(std::string(1 << 20, 'x'));
        done.commit();
        std::optional<StopSignals> stop;
        if (stop_signals) {
          stop.emplace();
          raise(signal);
          if (entries(dir.path()) != 5) return 2;  // two, b, d, and the folder are there still
        }
        raise(signal);
        return 1;
      });
      EXPECT_EQ(end, 1000 + signal);
      EXPECT_EQ(entries(dir.path()), 2u) << "b as it was, d as it was committed";
      std::ifstream old(dir / "b");
      EXPECT_EQ(std::string(std::istreambuf_iterator<char>(old), {}), "old");
    }
  }
}

TEST(PrepareProcess, WhatIsIgnoredStaysIgnored) {
  EXPECT_EQ(end_of_child([] {
              std::signal(SIGINT, SIG_IGN);
              prepare_process();
              raise(SIGINT);
              return 7;
            }),
            7);
}

TEST(PrepareProcess, ClosedStandardDescriptorsAreOpenedOnNothing) {
  const int end = end_of_child([] {
    for (const int descriptor : {0, 1, 2}) ::close(descriptor);
    prepare_process();
    struct stat nothing {
    }, found{};
    ::stat("/dev/null", &nothing);
    for (const int descriptor : {0, 1, 2})
      if (::fstat(descriptor, &found) != 0 || found.st_rdev != nothing.st_rdev || !S_ISCHR(found.st_mode)) return 1;
    if (::open("/dev/null", O_RDONLY) < 3) return 2;
    if (::write(2, "x", 1) != 1) return 3;
    if (::write(1, "x", 1) != -1 || errno != EBADF) return 4;  // results that go nowhere are an error
    return 7;
  });
  EXPECT_EQ(end, 7);
}

TEST(PrepareProcess, OpenStandardDescriptorsAreLeftAlone) {
  test::TempDir dir;
  const int end = end_of_child([&] {
    const int file = ::open((dir / "out").c_str(), O_WRONLY | O_CREAT, 0600);
    ::dup2(file, 1);
    prepare_process();
    return ::write(1, "text", 4) == 4 ? 7 : 1;
  });
  EXPECT_EQ(end, 7);
  EXPECT_EQ(std::filesystem::file_size(dir / "out"), 4u);
}

TEST(PrepareProcess, AFileSizeLimitIsAnErrorOfAnyWrite) {
  test::TempDir dir;
  const int end = end_of_child([&] {
    prepare_process();
    const rlimit limit{0, 0};
    setrlimit(RLIMIT_FSIZE, &limit);
    const int file = ::open((dir / "out").c_str(), O_WRONLY | O_CREAT, 0600);
    return ::write(file, "x", 1) == -1 && errno == EFBIG ? 7 : 1;
  });
  EXPECT_EQ(end, 7);
}

}  // namespace
}  // namespace fabula
