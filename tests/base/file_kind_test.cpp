#include "base/file_kind.hpp"

#include <gtest/gtest.h>

#include "expect_error.hpp"

namespace fabula {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kPointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    "size 548105171\n";

TEST(FileKind, FormatsAreKnownByTheirFirstBytes) {
  EXPECT_EQ(file_kind("\x1f\x8b\x08\0\0\0\0\0"sv), FileKind::kGzip);
  EXPECT_EQ(file_kind("PK\x03\x04\0\0"sv), FileKind::kZip);
  EXPECT_EQ(file_kind("PAR1\x15\x04\x15"sv), FileKind::kParquet);
  EXPECT_EQ(file_kind("\x93NUMPY\x01\0"sv), FileKind::kNumpy);
  EXPECT_EQ(file_kind("BZh91AY&SY\x01"sv), FileKind::kBzip2);
  EXPECT_EQ(file_kind("FABTOKEN\x01"sv), FileKind::kTokenFile);
  EXPECT_EQ(file_kind("GGUF\x03\0\0\0"sv), FileKind::kGguf);
  EXPECT_EQ(file_kind("\x80\x02}q"sv), FileKind::kPickle);
  EXPECT_EQ(file_kind("\x40\x01\0\0\0\0\0\0{\"a\""sv), FileKind::kSafetensors);
  EXPECT_EQ(file_kind(std::string(257, 'a') + "ustar"), FileKind::kTar);
  EXPECT_EQ(file_kind("\xff\xfe\0\0a\0\0\0"sv), FileKind::kUtf32LittleEndian);
  EXPECT_EQ(file_kind("\xff\xfe"
                      "a\0"sv),
            FileKind::kUtf16LittleEndian);
  EXPECT_EQ(file_kind("\xfe\xff\0a"sv), FileKind::kUtf16BigEndian);
  EXPECT_EQ(file_kind("\xef\xbb\xbf"
                      "text"sv),
            FileKind::kUtf8Mark);
  EXPECT_EQ(file_kind(kPointer), FileKind::kGitLfsPointer);
}

TEST(FileKind, TextsThatBeginWithTheLettersOfAFormatAreTexts) {
  for (const std::string_view text : {""sv, "a"sv, "PAR1 is a name"sv, "BZh9 and more words"sv, "GGUF is a format"sv,
                                      "PKZIP"sv, "\x80"sv, "12345678{"sv, "version https://example.org"sv})
    EXPECT_EQ(file_kind(text), FileKind::kUnknown) << text;
}

TEST(FileKind, APointerSaysWhatItStandsForAndHowToFetchIt) {
  ASSERT_TRUE(git_lfs_pointer(kPointer));
  EXPECT_EQ(git_lfs_pointer(kPointer)->size, 548105171u);
  test::expect_error(ErrorCode::kFormat, {"model/weights.bin: a Git LFS pointer", "548105171 bytes", "git lfs pull"},
                     [] { refuse_git_lfs_pointer(kPointer, "model/weights.bin"); });
  refuse_git_lfs_pointer("{}", "config.json");
  refuse_git_lfs_pointer("", "config.json");
  // A text about pointers is not one.
  EXPECT_FALSE(git_lfs_pointer(std::string(kPointer) + std::string(2000, 'x')));
  EXPECT_FALSE(git_lfs_pointer("version https://git-lfs.github.com/spec/v1 is what pointers begin with."));
}

}  // namespace
}  // namespace fabula
