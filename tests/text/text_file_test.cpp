#include "text/text_file.hpp"

#include <gtest/gtest.h>

#include "base/atomic_file.hpp"
#include "base/philox.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"
#include "text/documents.hpp"

namespace fabula::text {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using Path = std::filesystem::path;
using Strings = std::vector<std::string>;

constexpr std::string_view kStory =
    "\nOnce upon a time\nthere was a fox.\n<|endoftext|>\n\nIt ran home.\n<|endoftext|>\n";

class TextFileTest : public testing::Test {
 protected:
  Path write(std::string_view content) {
    write_file_atomically(folder_ / "text.txt", content);
    return folder_ / "text.txt";
  }
  static Strings documents(const TextFile& file) {
    const Documents list = file.documents();
    return {list.views.begin(), list.views.end()};
  }
  Strings documents(std::string_view content, TextOptions options = {}, std::string_view end_token = {}) {
    return documents(TextFile(write(content), options, end_token));
  }
  /// Refused with its name and these parts, and taken with --bytes.
  void expect_refusal(std::string_view content, std::vector<std::string> parts) {
    const Path path = write(content);
    parts.emplace_back("text.txt: ");
    test::expect_error(ErrorCode::kFormat, parts, [&] { TextFile{path}; });
    const TextFile as_it_is(path, {.bytes = true});
    EXPECT_EQ(as_it_is.whole(), content);
    EXPECT_TRUE(as_it_is.notes().empty());
  }

  test::TempDir folder_;
};

std::string replaced(std::string_view text, std::string_view line_end) {
  std::string result;
  for (const char c : text) c == '\n' ? result += line_end : result += c;
  return result;
}

/// As UTF-16 or UTF-32 would have it.
std::string widened(std::u32string_view text, std::size_t width, bool little_endian) {
  std::string result;
  for (const char32_t c : text)
    for (std::size_t k = 0; k < width; ++k)
      result += static_cast<char>(c >> 8 * (little_endian ? k : width - 1 - k) & 0xff);
  return result;
}

TEST_F(TextFileTest, LineEndsOfOtherSystemsBecomeLineFeeds) {
  const Strings expected{"Once upon a time\nthere was a fox.", "It ran home."};
  EXPECT_EQ(documents(kStory), expected);
  EXPECT_EQ(documents(replaced(kStory, "\r\n")), expected);
  EXPECT_EQ(documents(replaced(kStory, "\r")), expected);
  EXPECT_EQ(TextFile(write("a\r\n\r\nb\rc\r\r\n")).whole(), "a\n\nb\nc\n\n");
  // Kept inside documents; around them there are none.
  EXPECT_EQ(documents(replaced(kStory, "\r\n"), {.keep_line_ends = true}),
            (Strings{"Once upon a time\r\nthere was a fox.", "It ran home."}));
  EXPECT_EQ(TextFile(write("a\r\nb\r"), {.keep_line_ends = true}).whole(), "a\r\nb\r");
}

TEST_F(TextFileTest, NotesSayWhatChangedAndHowOften) {
  EXPECT_TRUE(TextFile(write(kStory)).notes().empty());
  const Strings notes = TextFile(write("\xef\xbb\xbf"
                                       "a\r\nb\r\nc\rd"))
                            .notes();
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_NE(notes[0].find("text.txt: 1 byte order mark"), std::string::npos) << notes[0];
  EXPECT_NE(notes[1].find("text.txt: 2 line ends CRLF and 1 CR"), std::string::npos) << notes[1];
  EXPECT_NE(notes[1].find("--keep-line-ends"), std::string::npos) << notes[1];
  EXPECT_EQ(TextFile(write("a\r\nb"), {.keep_line_ends = true}).notes(), Strings{});
  const Strings odd = TextFile(write(std::string(50, 'a') + "\xff" + std::string(2000, 'b') + "\0"s)).notes();
  ASSERT_EQ(odd.size(), 2u);
  EXPECT_NE(odd[0].find("1 bytes are not UTF-8, the first at byte 50"), std::string::npos) << odd[0];
  EXPECT_NE(odd[1].find("1 NUL bytes"), std::string::npos) << odd[1];
}

TEST_F(TextFileTest, ByteOrderMarksAreDroppedWhereATextBegins) {
  EXPECT_EQ(documents("\xef\xbb\xbf\nA fox.<|endoftext|>\n\xef\xbb\xbf"
                      "Home \xef\xbb\xbf"
                      "again."),
            (Strings{"A fox.",
                     "Home \xef\xbb\xbf"
                     "again."}));
  EXPECT_EQ(documents("\xef\xbb\xbf"
                      "A fox.<|endoftext|>\n\xef\xbb\xbf\n"),
            Strings{"A fox."});
  EXPECT_EQ(documents("\xef\xbb\xbf"
                      "A fox.",
                      {.keep_line_ends = true}),
            Strings{"A fox."});
  EXPECT_EQ(TextFile(write("\xef\xbb\xbf"
                           "A fox."))
                .whole(),
            "A fox.");
  EXPECT_EQ(documents("\xef\xbb\xbf"
                      "A fox.",
                      {.bytes = true}),
            Strings{"\xef\xbb\xbf"
                    "A fox."});
}

TEST_F(TextFileTest, ATokenizersEndTokenSeparatesToo) {
  EXPECT_EQ(documents("a</s>\r\nb<|endoftext|>c", {}, "</s>"), (Strings{"a", "b", "c"}));
  EXPECT_EQ(documents("a</s>\nb<|endoftext|>c"), (Strings{"a</s>\nb", "c"}));
  EXPECT_EQ(split_documents("a<|endoftext|>|b<|endoftext|>c", "<|endoftext|>|"),
            (std::vector<std::string_view>{"a", "b", "c"}));
}

TEST_F(TextFileTest, TextWithLineFeedsIsNotCopied) {
  EXPECT_TRUE(TextFile(write(kStory)).documents().changed.empty());
  const TextFile mixed(write("a\r\nb<|endoftext|>\r\nc"));
  EXPECT_EQ(mixed.documents().changed.size(), 1u);
  EXPECT_EQ(mixed.documents(1, 2).views, std::vector<std::string_view>{"c"});
  EXPECT_EQ(mixed.document_bytes(0), 4u);
  EXPECT_EQ(mixed.bytes(), 20u);
}

TEST_F(TextFileTest, WideTextsAreRefused) {
  const std::u32string_view english = U"Once upon a time there was a fox.\n<|endoftext|>\nIt ran home.\n",
                            russian = U"Жила-была лиса.\nОна бежала домой.\n";
  for (const std::u32string_view text : {english, russian}) {
    const std::u32string marked = U"\ufeff" + std::u32string(text);
    for (const std::size_t width : {2, 4}) {
      const std::string name = width == 2 ? "UTF-16" : "UTF-32";
      expect_refusal(widened(marked, width, true),
                     {name + " text (little-endian)", "iconv -f " + name + "LE", "--bytes"});
      expect_refusal(widened(marked, width, false), {name + " text (big-endian)", "iconv -f " + name + "BE"});
      expect_refusal(widened(text, width, true),
                     {name + " text (little-endian) without a byte order mark", "iconv -f " + name + "LE"});
      expect_refusal(widened(text, width, false),
                     {name + " text (big-endian) without a byte order mark", "iconv -f " + name + "BE"});
    }
  }
}

TEST_F(TextFileTest, OtherFormatsAreRefusedByName) {
  expect_refusal("\x1f\x8b\x08\0\0\0\0\0\0\x03"sv, {"gzip", "unpack", "--bytes"});
  expect_refusal("PK\x03\x04\x14\0\0\0"sv, {"ZIP", "unpack"});
  expect_refusal("PAR1\x15\x04\x15\x10PAR1"sv, {"Parquet", "<|endoftext|>"});
  expect_refusal("\x93NUMPY\x01\0v\0{'descr': '<u2'}"sv, {"NumPy"});
  expect_refusal("FABTOKEN\x02\0\0\0"sv, {"token file of fabula", "name the text"});
  expect_refusal("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 11010906\n",
                 {"Git LFS pointer", "11010906 bytes", "git lfs pull"});
}

TEST_F(TextFileTest, TokenIdsOfOtherProgramsAreRefused) {
  // Ids as texts have them: the frequent ones are small.
  Philox random(7, 0);
  for (const std::size_t width : {2, 4}) {
    std::string ids, letters;
    for (int i = 0; i < 5000; ++i) {
      const std::uint32_t drawn = random.next();
      const std::uint32_t id = drawn % 3 == 0 ? drawn / 3 % 50000 : drawn / 3 % 1000;
      ids += widened(std::u32string(1, static_cast<char32_t>(id)), width, true);
      letters += widened(std::u32string(1, static_cast<char32_t>(drawn % 65)), width, true);
    }
    expect_refusal(ids, {"binary data", "NUL", "token ids"});
    expect_refusal(letters, {"binary data", "NUL", "token ids"});
  }
}

TEST_F(TextFileTest, OtherEncodingsAreRefusedWhereTheyAreNearlyAll) {
  // "Жила-была лиса." in Windows-1251.
  expect_refusal("\xc6\xe8\xeb\xe0-\xe1\xfb\xeb\xe0 \xeb\xe8\xf1\xe0.", {"another encoding", "12 of 15", "iconv"});
  const Path latin = write(
      "Ein Fuchs lief \xfc"
      "ber das Feld nach Hause.");
  EXPECT_EQ(TextFile(latin).notes().size(), 1u);
}

TEST_F(TextFileTest, TextsOfAllScriptsAreTexts) {
  for (const std::string_view text :
       {""sv, "a"sv, "Жила-была лиса.\n"sv, "從前有一隻狐狸。\n它跑回家了。"sv, "\xf0\x9f\xa6\x8a\xf0\x9f\x8f\xa0"sv,
        "PK is no archive"sv, "version https://git-lfs.github.com/spec/v1 is how pointers begin"sv}) {
    const TextFile file(write(text));
    EXPECT_EQ(file.whole(), text);
    EXPECT_TRUE(file.notes().empty()) << text;
  }
}

TEST(TextSurvey, CountsAreOfTheWholeTextWhereverTheyStand) {
  // At every offset against the words that are looked at together.
  for (std::size_t offset = 0; offset < 70; ++offset) {
    const std::string before(offset, 'a');
    const std::string bytes =
        before + "\r"s + "\0"s + "\xe4\xb8\xad"s + "\0"s + "\xff"s + "\r\n"s + std::string(50, 'b') + "\xe4\xb8"s;
    const TextSurvey all = survey_text(bytes);
    EXPECT_EQ(all.bytes, bytes.size());
    EXPECT_EQ(all.cr, 1u);
    EXPECT_EQ(all.crlf, 1u);
    EXPECT_EQ(all.nul, 2u);
    EXPECT_EQ(all.invalid, 3u);
    EXPECT_EQ(all.first_invalid, offset + 6);
  }
}

}  // namespace
}  // namespace fabula::text
