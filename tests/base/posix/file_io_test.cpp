#include "base/file_io.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/atomic_file.hpp"
#include "base/mapped_file.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;
using test::TempDir;

std::size_t entry_count(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

// Runs the body in a child with a file-size limit; returns the child's exit status, 0 when the body returned true.
template <class Body>
int run_with_file_limit(rlim_t bytes, Body body) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{bytes, bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(ReadFile, NamesTheReasonAndRefusesDevices) {
  TempDir dir;
  expect_error(ErrorCode::kNotFound, {"gone", "No such file"}, [&] { read_file(dir / "gone"); });
  expect_error(ErrorCode::kFormat, {"/dev/zero", "special file"}, [&] { read_file("/dev/zero", 1000); });
}

TEST(MappedFile, SurvivesTheReplacementOfItsFile) {
  TempDir dir;
  write_file_atomically(dir / "x", "hello");
  const MappedFile file(dir / "x");
  write_file_atomically(dir / "x", "other content");
  EXPECT_EQ(file.text(), "hello");
}

// Without a writer or a reader at the other end: opening must not wait for one.
TEST(SpecialFiles, AreRefusedWithoutWaiting) {
  TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  ::alarm(20);
  const std::vector<std::string> parts{"pipe: expected a file, found a special file"};
  expect_error(ErrorCode::kFormat, parts, [&] { read_file(dir / "pipe"); });
  expect_error(ErrorCode::kFormat, parts, [&] { MappedFile file(dir / "pipe"); });
  expect_error(ErrorCode::kFormat, parts, [&] { OutputFile file(dir / "pipe", OutputFile::Mode::kAppend); });
  expect_error(ErrorCode::kFormat, parts, [&] { FileLock lock(dir / "pipe", "folder"); });
  const int reader = ::open((dir / "pipe").c_str(), O_RDONLY | O_NONBLOCK);
  expect_error(ErrorCode::kFormat, parts, [&] { OutputFile file(dir / "pipe", OutputFile::Mode::kAppend); });
  ::close(reader);
  expect_error(ErrorCode::kFormat, {"/dev/null", "special file"}, [&] { read_file("/dev/null"); });
  expect_error(ErrorCode::kFormat, {"/dev/null", "special file"}, [&] { MappedFile file("/dev/null"); });
  ::alarm(0);
}

// As a shell gives `<(command)`.
TEST(SpecialFiles, APipeThatIsADescriptorOfTheProcessIsReadToItsEnd) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::string text(200000, 'z');  // more than a pipe holds
  std::thread writer([&] {
    ::usleep(20000);
    EXPECT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(ends[1]);
  });
  EXPECT_EQ(read_file("/dev/fd/" + std::to_string(ends[0])), text);
  writer.join();
  ::close(ends[0]);
}

TEST(FileLock, LeavesWhatALinkLeadsToAlone) {
  TempDir dir;
  write_file_atomically(dir / "precious", "line 1\nline 2\n");
  std::filesystem::create_symlink("precious", dir / ".lock");
  std::filesystem::create_symlink("missing", dir / "other");
  for (const char* name : {".lock", "other"})
    expect_error(ErrorCode::kInvalidArgument, {name, "is a link to"}, [&] { FileLock lock(dir / name, "run"); });
  EXPECT_EQ(read_file(dir / "precious"), "line 1\nline 2\n");
  EXPECT_FALSE(std::filesystem::exists(dir / "missing"));
}

TEST(AtomicFile, FullDiskIsAnErrorAndHarmsNothing) {
  TempDir dir;
  write_file_atomically(dir / "x", "old");
  const int status = run_with_file_limit(100000, [&] {
    try {
      AtomicFile file(dir / "x");
      file.write(std::string(300000, 'z'));
      file.commit();
    } catch (const Error& error) {
      const std::string text = error.what();
      return error.code() == ErrorCode::kIo && text.find("300000 bytes") != std::string::npos &&
             text.find("File too large") != std::string::npos && text.find("100000 written") != std::string::npos;
    }
    return false;
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(dir / "x"), "old");
  EXPECT_EQ(entry_count(dir.path()), 1u);
}

TEST(AtomicFile, DeviceFullIsReportedWithTheReason) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  OutputFile file("/dev/full", OutputFile::Mode::kAppend);
  expect_error(ErrorCode::kIo, {"/dev/full", "cannot write 5 bytes", "No space left", "bytes are free"},
               [&] { file.write("hello"); });
}

}  // namespace
}  // namespace fabula
