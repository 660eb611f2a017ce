#include "base/mapped_file.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <numeric>
#include <thread>

#include "base/atomic_file.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;
using test::TempDir;

constexpr std::size_t kBytes = 1 << 20;

std::size_t sum(const MappedFile& file, std::size_t begin = 0) {
  return std::accumulate(file.bytes().begin() + static_cast<std::ptrdiff_t>(begin), file.bytes().end(), std::size_t{0},
                         [](std::size_t all, std::byte byte) { return all + static_cast<std::size_t>(byte); });
}

const std::vector<std::string> kParts{"cut.txt", "was cut short while it was read", "it had 1048576 bytes"};

TEST(MappedFileCut, IsAnErrorWithTheFilesName) {
  for (const std::size_t left : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, kBytes / 2 + 1}) {
    TempDir dir;
    write_file_atomically(dir / "cut.txt", std::string(kBytes, '\1'));
    MappedFile file(dir / "cut.txt");
    file.check();
    EXPECT_EQ(sum(file), kBytes);
    std::filesystem::resize_file(dir / "cut.txt", left);
    EXPECT_LE(sum(file), left) << "zeros where nothing is left";
    expect_error(ErrorCode::kIo, kParts, [&] { file.check(); });
    expect_error(ErrorCode::kIo, kParts, [&] { file.checked([&] { return sum(file); }); });
    expect_error(ErrorCode::kIo, kParts,
                 [&] { file.checked([&] { throw Error(ErrorCode::kFormat, "what is made of the zeros"); }); });
    const MappedFile moved = std::move(file);
    expect_error(ErrorCode::kIo, kParts, [&] { moved.check(); });
    std::filesystem::resize_file(dir / "cut.txt", kBytes);  // as long as before, but not the same
    if (left < kBytes / 2) expect_error(ErrorCode::kIo, kParts, [&] { moved.check(); });
  }
}

TEST(MappedFileCut, IsFoundByAnyThreadAndInNoOtherFile) {
  TempDir dir;
  write_file_atomically(dir / "cut.txt", std::string(kBytes, '\1'));
  write_file_atomically(dir / "whole.txt", std::string(kBytes, '\1'));
  const MappedFile before(dir / "whole.txt"), cut(dir / "cut.txt"), after(dir / "whole.txt");
  std::filesystem::resize_file(dir / "cut.txt", 0);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 8; ++i) threads.emplace_back([&, i] { EXPECT_EQ(sum(cut, i * kBytes / 8), 0u); });
  for (std::thread& thread : threads) thread.join();
  expect_error(ErrorCode::kIo, kParts, [&] { cut.check(); });
  EXPECT_EQ(sum(before) + sum(after), 2 * kBytes);
  before.check();
  after.check();
}

// Guards are used again; what is wrong with one file must not be said of the next.
TEST(MappedFileCut, ManyFilesComeAndGo) {
  TempDir dir;
  for (int round = 0; round < 100; ++round) {
    write_file_atomically(dir / "cut.txt", std::string(kBytes, '\1'));
    const MappedFile file(dir / "cut.txt");
    file.check();
    if (round % 3 != 0) continue;
    std::filesystem::resize_file(dir / "cut.txt", 0);
    EXPECT_EQ(sum(file), 0u);
    expect_error(ErrorCode::kIo, kParts, [&] { file.check(); });
  }
}

TEST(MappedFileCut, ReplacedOrGrownIsNotCut) {
  TempDir dir;
  write_file_atomically(dir / "a", "hello");
  const MappedFile file(dir / "a");
  std::ofstream(dir / "a", std::ios::app) << " and more";
  file.check();
  write_file_atomically(dir / "a", "x");
  file.check();
  std::filesystem::remove(dir / "a");
  EXPECT_EQ(file.checked([&] { return std::string(file.text()); }), "hello");
}

TEST(MappedFileCut, OtherBusErrorsEndTheProgramAsBefore) {
  TempDir dir;
  write_file_atomically(dir / "a", "hello");
  const MappedFile file(dir / "a");
  const pid_t child = fork();
  if (child == 0) {
    ::close(STDERR_FILENO);  // a sanitizer's report
    ::alarm(20);
    ::raise(SIGBUS);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : WEXITSTATUS(status) != 0);
}

}  // namespace
}  // namespace fabula
