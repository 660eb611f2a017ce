#include <gtest/gtest.h>

#include <fstream>

#include "base/atomic_file.hpp"
#include "base/environment.hpp"
#include "base/file_io.hpp"
#include "base/mapped_file.hpp"
#include "base/windows/system.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;
using test::TempDir;

const std::string kName = "Grüße, Жук, 漢字, 🙂.txt";

std::string only_name_in(const std::filesystem::path& folder) {
  WIN32_FIND_DATAW found;
  const HANDLE search = ::FindFirstFileW((folder / L"*.txt").c_str(), &found);
  if (search == INVALID_HANDLE_VALUE) return "";
  ::FindClose(search);
  return to_utf8(found.cFileName);
}

TEST(Utf8Paths, AStringIsTheNameThatItSays) {
  EXPECT_EQ(std::filesystem::path(kName).string(), kName);
  EXPECT_EQ(std::filesystem::path(kName).native(), to_wide(kName));
  EXPECT_EQ(std::filesystem::path("\U0010ffff\ue000\u07ff").native(), (std::wstring{0xDBFF, 0xDFFF, 0xE000, 0x7FF}));
  EXPECT_THROW(std::filesystem::path("r\xff"), std::filesystem::filesystem_error);
  EXPECT_THROW(std::filesystem::path("\xf0\x9f\x98"), std::filesystem::filesystem_error) << "cut short";
  EXPECT_THROW(std::filesystem::path("\xf0\x9f\x98x"), std::filesystem::filesystem_error) << "no end";
  EXPECT_THROW(std::filesystem::path("\xed\xa0\x80"), std::filesystem::filesystem_error) << "half of a pair";
  EXPECT_THROW(std::filesystem::path("\xc0\x80"), std::filesystem::filesystem_error) << "overlong";
}

TEST(Utf8Paths, FilesHaveTheNamesThatTheyWereGiven) {
  TempDir dir;
  write_file_atomically(dir / kName, "text");
  EXPECT_EQ(only_name_in(dir.path()), kName);
  EXPECT_EQ(read_file(dir / kName), "text");
  EXPECT_EQ(MappedFile(dir / kName).text(), "text");
  std::ifstream stream(dir / kName);
  EXPECT_TRUE(stream.good());
  expect_error(ErrorCode::kNotFound, {"漢字"}, [&] { read_file(dir / "漢字"); });
}

TEST(Environment, IsUtf8ForTheProgramAndForTheSystem) {
  set_environment("FABULA_TEST_NAME", kName);
  EXPECT_EQ(environment("FABULA_TEST_NAME"), kName);
  wchar_t value[64];
  const DWORD size = ::GetEnvironmentVariableW(L"FABULA_TEST_NAME", value, 64);
  EXPECT_EQ(to_utf8({value, size}), kName);
  unset_environment("FABULA_TEST_NAME");
  EXPECT_EQ(environment("FABULA_TEST_NAME"), "");
  EXPECT_EQ(::GetEnvironmentVariableW(L"FABULA_TEST_NAME", value, 64), 0u);
}

TEST(PutInPlace, ReplacesWhatOthersRead) {
  TempDir dir;
  write_file_atomically(dir / "x", "old");
  const Handle reader(::CreateFileW((dir / "x").c_str(), GENERIC_READ, kShareAll, nullptr, OPEN_EXISTING, 0, nullptr));
  ASSERT_TRUE(reader.valid());
  try {
    write_file_atomically(dir / "x", "new");
  } catch (const Error& error) {
    GTEST_SKIP() << "no renames as POSIX has them here (Windows 10 does, Wine 8 does not): " << error.what();
  }
  char bytes[8] = {};
  DWORD got = 0;
  ASSERT_TRUE(::ReadFile(reader.get(), bytes, sizeof bytes, &got, nullptr));
  EXPECT_EQ(std::string(bytes, got), "old");
  EXPECT_EQ(read_file(dir / "x"), "new");
}

TEST(PutInPlace, WhatOthersHoldStaysAndIsAnError) {
  TempDir dir;
  write_file_atomically(dir / "x", "old");
  const Handle holder(
      ::CreateFileW((dir / "x").c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, 0, nullptr));
  expect_error(ErrorCode::kIo, {"x: cannot put the new file of 5 bytes in place"},
               [&] { write_file_atomically(dir / "x", "newer"); });
  EXPECT_EQ(read_file(dir / "x"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(Litter, OfProcessesThatAreGoneIsRemoved) {
  TempDir dir;
  for (const char* name : {".x.tmp-1-2", ".notes.tmp-old", "a.tmp-1-2"}) std::ofstream(dir / name) << "x";
  AtomicFile alive(dir / "state.json");
  alive.write(std::string(1 << 20, 'y'));
  EXPECT_EQ(remove_litter(dir.path()), 1u);
  EXPECT_FALSE(std::filesystem::exists(dir / ".x.tmp-1-2"));
  alive.commit();
  EXPECT_EQ(std::filesystem::file_size(dir / "state.json"), 1u << 20);
}

TEST(OutputFile, WritesGoOnWhereTheyWere) {
  TempDir dir;
  OutputFile file(dir / "x", OutputFile::Mode::kNew);
  file.write("abcdef");
  file.write_at(1, std::as_bytes(std::span("XY", 2)));
  file.write("g");
  file.close();
  EXPECT_EQ(read_file(dir / "x"), "aXYdefg");
  expect_error(ErrorCode::kIo, {"x: cannot open for writing"},
               [&] { OutputFile again(dir / "x", OutputFile::Mode::kNew); });
}

TEST(LastError, IsInTheSystemsWords) {
  EXPECT_EQ(windows_error(ERROR_FILE_NOT_FOUND), std::errc::no_such_file_or_directory);
  EXPECT_FALSE(windows_error(ERROR_ACCESS_DENIED).message().empty());
  EXPECT_EQ(windows_error(0x3FFFFFFF).message(), "error 1073741823 of Windows");
}

}  // namespace
}  // namespace fabula
