#include "base/file_io.hpp"

#include <gtest/gtest.h>

#include "base/atomic_file.hpp"
#include "base/machine.hpp"
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

TEST(ReadFile, ReadsBytesAndRefusesWhatIsTooLarge) {
  TempDir dir;
  const std::string content("a\0b\n", 4);
  write_file_atomically(dir / "x", content);
  EXPECT_EQ(read_file(dir / "x"), content);
  EXPECT_EQ(read_file(dir / "x", 4), content);
  expect_error(ErrorCode::kFormat, {"x", "4 bytes", "at most 3"}, [&] { read_file(dir / "x", 3); });
  expect_error(ErrorCode::kNotFound, {"gone: cannot open for reading: "}, [&] { read_file(dir / "gone"); });
  expect_error(ErrorCode::kFormat, {"folder"}, [&] { read_file(dir.path()); });
}

TEST(MappedFile, MapsMovesAndRefuses) {
  TempDir dir;
  write_file_atomically(dir / "x", "hello");
  MappedFile first(dir / "x");
  MappedFile second(std::move(first));
  EXPECT_EQ(first.size(), 0u);
  ASSERT_EQ(second.size(), 5u);
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
  expect_error(ErrorCode::kIo, {"such"}, [&] { AtomicFile missing(dir / "no/such/file"); });
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
    expect_error(ErrorCode::kInvalidArgument, {"run folder is in use", std::to_string(process_id())},
                 [&] { FileLock second(dir / "lock", "run folder"); });
  }
  FileLock again(dir / "lock", "run folder");
}

}  // namespace
}  // namespace fabula
