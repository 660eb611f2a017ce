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

TEST(ReadFile, ReadsBytesAndRefusesWhatIsTooLarge) {
  TempDir dir;
  const std::string content("a\0b\n", 4);
  write_file_atomically(dir / "x", content);
  EXPECT_EQ(read_file(dir / "x"), content);
  EXPECT_EQ(read_file(dir / "x", 4), content);
  expect_error(ErrorCode::kFormat, {"x", "4 bytes", "at most 3"}, [&] { read_file(dir / "x", 3); });
  expect_error(ErrorCode::kNotFound, {"gone", "No such file"}, [&] { read_file(dir / "gone"); });
  expect_error(ErrorCode::kFormat, {"folder"}, [&] { read_file(dir.path()); });
  expect_error(ErrorCode::kFormat, {"/dev/zero", "special file"}, [&] { read_file("/dev/zero", 1000); });
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

TEST(MappedFile, MapsMovesAndRefuses) {
  TempDir dir;
  write_file_atomically(dir / "x", "hello");
  MappedFile first(dir / "x");
  MappedFile second(std::move(first));
  EXPECT_EQ(first.size(), 0u);
  ASSERT_EQ(second.size(), 5u);
  EXPECT_EQ(static_cast<char>(second.bytes()[4]), 'o');
  write_file_atomically(dir / "x", "other content");  // a mapping survives the replacement of its file
  EXPECT_EQ(static_cast<char>(second.bytes()[4]), 'o');
  write_file_atomically(dir / "empty", "");
  EXPECT_EQ(MappedFile(dir / "empty").size(), 0u);
  expect_error(ErrorCode::kNotFound, {"gone"}, [&] { MappedFile file(dir / "gone"); });
  expect_error(ErrorCode::kFormat, {"folder"}, [&] { MappedFile file(dir.path()); });
}

TEST(AtomicFile, LeavesTheOldFileUnlessCommitted) {
  TempDir dir;
  write_file_atomically(dir / "x", "old");
  {
    AtomicFile file(dir / "x");
    file.write("new");
  }
  EXPECT_EQ(read_file(dir / "x"), "old");
  EXPECT_EQ(entry_count(dir.path()), 1u);
  AtomicFile file(dir / "x");
  file.write("0123456789");
  file.write_at(2, "ab", 2);
  const std::string large(700000, 'z');  // more than the buffer
  file.write(large);
  EXPECT_EQ(file.size(), 700010u);
  expect_error(ErrorCode::kInternal, {}, [&] { file.write_at(700009, "ab", 2); });
  file.commit();
  EXPECT_EQ(read_file(dir / "x"), "01ab456789" + large);
  EXPECT_EQ(entry_count(dir.path()), 1u);
  expect_error(ErrorCode::kIo, {"no/such"}, [&] { AtomicFile missing(dir / "no/such/file"); });
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

TEST(OutputFile, AppendsAndTruncates) {
  TempDir dir;
  {
    OutputFile file(dir / "log", OutputFile::Mode::kAppend);
    file.write("one\ntwo\n");
  }
  OutputFile file(dir / "log", OutputFile::Mode::kAppend);
  file.truncate(4);
  file.write("three\n");
  file.sync();
  file.close();
  EXPECT_EQ(read_file(dir / "log"), "one\nthree\n");
}

TEST(Directories, AreCreatedOrExplained) {
  TempDir dir;
  ensure_directory(dir / "a/b/c");
  ensure_directory(dir / "a/b/c");
  EXPECT_TRUE(std::filesystem::is_directory(dir / "a/b/c"));
  write_file_atomically(dir / "file", "");
  expect_error(ErrorCode::kIo, {"file"}, [&] { ensure_directory(dir / "file"); });
  EXPECT_GT(free_space(dir / "not/yet/there"), 0u);
}

TEST(FileLock, ExcludesOthersAndEndsWithTheHolder) {
  TempDir dir;
  {
    FileLock lock(dir / "lock", "run folder");
    expect_error(ErrorCode::kInvalidArgument, {"run folder is in use", std::to_string(getpid())},
                 [&] { FileLock second(dir / "lock", "run folder"); });
  }
  FileLock again(dir / "lock", "run folder");
}

}  // namespace
}  // namespace fabula
