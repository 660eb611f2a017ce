#include "text/token_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "base/atomic_file.hpp"
#include "base/hash.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"
#include "text/fixture.hpp"

namespace fabula::text {
namespace {

using Path = std::filesystem::path;

// Where the header's fields lie, in bytes; its checksum covers all before it.
constexpr size_t kVersion = 8, kTokenBytes = 12, kVocabSize = 16, kEot = 24, kTokenCount = 32, kDocumentCount = 40,
                 kContentSum = 72, kChecksum = 120, kTokens = 128;

class TokenFileTest : public testing::Test {
 protected:
  Path write(const std::string& name, std::string_view content) {
    write_file_atomically(folder_ / name, content);
    return folder_ / name;
  }
  TokenFileCounts prepare(const std::vector<Path>& texts, const Tokenizer& tokenizer) {
    return prepare_token_file(texts, tokenizer, folder_ / "out.tokens", 2);
  }
  std::string prepared() {
    prepare({write("a.txt", "lowest newest\n<|endoftext|>\nwider")}, tokenizer_);
    return std::string(MappedFile(folder_ / "out.tokens").text());
  }
  static void seal(std::string& bytes) {
    const uint64_t checksum = fnv1a(bytes.data(), kChecksum);
    std::memcpy(bytes.data() + kChecksum, &checksum, sizeof(checksum));
  }
  static std::vector<uint32_t> ids_of(const TokenFile& file) {
    std::vector<uint32_t> ids(file.size());
    file.read(0, ids);
    return ids;
  }
  /// Opens a token file that `damage` has changed; with a checksum that fits if `sealed`.
  void expect_damage(const std::vector<std::string>& parts, bool sealed,
                     const std::function<void(std::string&)>& damage) {
    std::string bytes = prepared();
    damage(bytes);
    if (sealed && bytes.size() >= kTokens) seal(bytes);
    const Path path = write("damaged.tokens", bytes);
    std::vector<std::string> all = parts;
    all.push_back("damaged.tokens");
    test::expect_error(ErrorCode::kFormat, all, [&] { TokenFile{path}; });
  }
  static std::function<void(std::string&)> put(size_t offset, uint64_t value) {
    return [=](std::string& bytes) { std::memcpy(bytes.data() + offset, &value, sizeof(value)); };
  }

  test::TempDir folder_;
  Tokenizer tokenizer_ = test::small_tokenizer();
};

TEST_F(TokenFileTest, RunsAreTheTokensInOrder) {
  std::string text;
  while (text.size() < 100'000) text += "lowest newest\n<|endoftext|>\n";
  prepare({write("a.txt", text)}, tokenizer_);
  const TokenFile file(folder_ / "out.tokens");
  std::vector<uint32_t> tokens(file.size());
  file.read(0, tokens);
  uint64_t seen = 0;
  file.for_each_run(1, file.size() - 1, [&](std::span<const uint32_t> run) {
    EXPECT_TRUE(std::equal(run.begin(), run.end(), tokens.begin() + 1 + static_cast<std::ptrdiff_t>(seen)));
    seen += run.size();
  });
  EXPECT_EQ(seen, file.size() - 1);
}

TEST_F(TokenFileTest, AnIdThatWasWrittenIntoItMeanwhileIsNotHandedOn) {
  prepared();
  const TokenFile file(folder_ / "out.tokens");
  std::fstream(folder_ / "out.tokens", std::ios::in | std::ios::out | std::ios::binary)
      .seekp(kTokens)
      .write("\xff\xff", 2);
  std::vector<uint32_t> tokens(2);
  test::expect_error(ErrorCode::kIo, {"out.tokens", "was written to while it was read"}, [&] { file.read(0, tokens); });
}

TEST_F(TokenFileTest, HoldsDocumentsInOrderEachEnded) {
  const Path a = write("a.txt", "\nlowest newest\n<|endoftext|>\n\n<|endoftext|>\nthe fox\n\xff\n<|endoftext|>\n"),
             b = write("b.txt", "wider");
  const TokenFileCounts counts = prepare({a, b}, tokenizer_);
  EXPECT_EQ(counts.documents, 3u);
  EXPECT_EQ(counts.bytes, std::filesystem::file_size(a) + 5);
  const TokenFile file(folder_ / "out.tokens");
  EXPECT_EQ(file.size(), counts.tokens);
  EXPECT_EQ(file.vocab_size(), tokenizer_.vocab_size());
  EXPECT_EQ(file.eot_id(), tokenizer_.eot_id());
  EXPECT_EQ(file.tokenizer_fingerprint(), tokenizer_.fingerprint());
  ASSERT_EQ(file.document_count(), 3u);
  const std::string expected[] = {"lowest newest", "the fox\n\xff", "wider"};
  for (size_t i = 0; i < 3; ++i) {
    const uint64_t begin = file.document_offsets()[i], end = file.document_offsets()[i + 1];
    std::vector<uint32_t> ids(end - begin);
    file.read(begin, ids);
    EXPECT_EQ(ids.back(), tokenizer_.eot_id());
    ids.pop_back();
    EXPECT_EQ(ids, tokenizer_.encode(expected[i]));
    EXPECT_EQ(tokenizer_.decode(ids), expected[i]);
  }
  file.check_tokenizer(tokenizer_);
}

TEST_F(TokenFileTest, WideVocabulariesTakeFourBytes) {
  TokenizerParts parts = tokenizer_.parts();
  parts.added[0].id = 70000;
  parts.tokens.pop_back();
  parts.tokens.resize(70001);
  parts.tokens[70000] = kEndOfText;
  const Tokenizer wide(std::move(parts));
  prepare({write("a.txt", "lowest newest")}, wide);
  const TokenFile file(folder_ / "out.tokens");
  EXPECT_EQ(file[file.size() - 1], 70000u);
  std::vector<uint32_t> ids(file.size());
  file.read(0, ids);
  EXPECT_EQ(wide.decode(ids), "lowest newest<|endoftext|>");
  test::expect_error(ErrorCode::kInvalidArgument, {"another tokenizer", "70001"},
                     [&] { file.check_tokenizer(tokenizer_); });
}

TEST_F(TokenFileTest, NothingToPrepareLeavesWhatWasThere) {
  const std::string before = prepared();
  const Path empty = write("empty.txt", ""), blank = write("blank.txt", "\n<|endoftext|>\n \n");
  test::expect_error(ErrorCode::kInvalidArgument, {"no document", "out.tokens"}, [&] {
    prepare({empty, blank}, tokenizer_);
  });
  test::expect_error(ErrorCode::kNotFound, {"missing.txt"}, [&] { prepare({folder_ / "missing.txt"}, tokenizer_); });
  EXPECT_EQ(MappedFile(folder_ / "out.tokens").text(), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 4);  // no temporary file is left
}

TEST_F(TokenFileTest, DamagedFilesAreErrors) {
  expect_damage({"100 bytes", "128"}, false, [](std::string& bytes) { bytes.resize(100); });
  expect_damage({"0 bytes"}, false, [](std::string& bytes) { bytes.clear(); });
  expect_damage({"not a token file"}, false, [](std::string& bytes) { bytes[0] = 'X'; });
  expect_damage({"version 9", "version 1"}, true, [](std::string& bytes) { bytes[8] = 9; });
  expect_damage({"checksum"}, false, put(kTokenCount, 3));
  expect_damage({"truncated"}, false, [](std::string& bytes) { bytes.resize(bytes.size() - 8); });
  expect_damage({"truncated"}, false, [](std::string& bytes) { bytes += '\0'; });
  expect_damage({"truncated"}, true, put(kTokenCount, 3));
  expect_damage({"truncated"}, true, put(kDocumentCount, 1));
  expect_damage({"impossible", "9223372036854775808 tokens"}, true, put(kTokenCount, uint64_t{1} << 63));
  expect_damage({"impossible", "18446744073709551615 documents"}, true, put(kDocumentCount, UINT64_MAX));
  expect_damage({"impossible", "0 documents"}, true, put(kDocumentCount, 0));
  expect_damage({"impossible", "vocabulary 0"}, true, put(kVocabSize, 0));
  expect_damage({"impossible", "vocabulary 70000"}, true, put(kVocabSize, 70000));
  expect_damage({"impossible", "eot 70000"}, true, put(kEot, 70000));
  expect_damage({"impossible", "3 bytes a token"}, true, [](std::string& bytes) { bytes[kTokenBytes] = 3; });
  expect_damage({"token 1 is id 65535", "vocabulary of 700"}, false,
                [](std::string& bytes) { bytes[kTokens + 2] = bytes[kTokens + 3] = '\xff'; });
  expect_damage({"document 0 ends with id"}, true, put(kEot, 5));
  expect_damage({"offsets"}, false, [](std::string& bytes) { bytes[bytes.size() - 24] = 1; });
  expect_damage({"offsets"}, false, [](std::string& bytes) { bytes[bytes.size() - 16] = 0; });
  expect_damage({"offsets"}, false, [](std::string& bytes) { bytes[bytes.size() - 9] = 1; });
}

TEST_F(TokenFileTest, AnyFlippedBitIsFound) {
  const std::string whole = prepared();
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    const Path path = folder_ / "flipped.tokens";
    std::ofstream(path, std::ios::binary) << bytes;  // not flushed to the disk a thousand times
    test::expect_error(ErrorCode::kFormat, {"flipped.tokens"}, [&] { TokenFile{path}; });
    if (HasFailure()) FAIL() << "bit " << bit;
  }
  // An id that may stand there, which nothing but the checksum tells from the right one.
  expect_damage({"checksum", "damaged", "prepare it again"}, false, [](std::string& bytes) { bytes[kTokens] ^= 1; });
}

TEST_F(TokenFileTest, FilesOfVersion1HaveNoChecksumAndOpen) {
  std::string bytes = prepared();
  const std::vector<uint32_t> expected = ids_of(TokenFile(folder_ / "out.tokens"));
  bytes[kVersion] = 1;
  std::memset(bytes.data() + kContentSum, 0, sizeof(uint64_t));
  seal(bytes);
  EXPECT_EQ(ids_of(TokenFile(write("old.tokens", bytes))), expected);
  bytes[kTokens + 2] = bytes[kTokens + 3] = '\xff';
  const Path damaged = write("old.tokens", bytes);
  test::expect_error(ErrorCode::kFormat, {"token 1 is id 65535"}, [&] { TokenFile{damaged}; });
}

TEST_F(TokenFileTest, AddedTokensOfATextAreTokens) {
  TokenizerParts parts = tokenizer_.parts();
  for (const std::string content : {"<|user|>", "<|tool|>", "   "}) {
    parts.added.push_back({static_cast<uint32_t>(parts.tokens.size()), content, content == "<|user|>"});
    parts.tokens.emplace_back(content);
  }
  const Tokenizer tokenizer(std::move(parts));
  const uint32_t user = *tokenizer.token_id("<|user|>"), tool = *tokenizer.token_id("<|tool|>"),
                 spaces = *tokenizer.token_id("   ");
  const std::string_view first = "<|user|>newest<|tool|>   wider", second = "lowest";
  prepare({write("chat.txt", "<|user|>newest<|tool|>   wider\n<|endoftext|>\nlowest<|endoftext|>")}, tokenizer);
  const TokenFile file(folder_ / "out.tokens");
  std::vector<uint32_t> expected = tokenizer.encode(first, {.added_tokens = true});
  EXPECT_EQ(expected.front(), user);
  EXPECT_EQ(std::count(expected.begin(), expected.end(), tool), 1);
  EXPECT_EQ(std::count(expected.begin(), expected.end(), spaces), 1);
  expected.push_back(tokenizer.eot_id());
  for (const uint32_t id : tokenizer.encode(second)) expected.push_back(id);
  expected.push_back(tokenizer.eot_id());
  EXPECT_EQ(ids_of(file), expected);
  EXPECT_EQ(file.document_count(), 2u);
}

TEST_F(TokenFileTest, AnEndTokenOfAnotherNameEndsDocumentsInTexts) {
  TokenizerParts parts = tokenizer_.parts();
  parts.tokens.back() = parts.added[0].content = "</s>";
  const Tokenizer tokenizer(std::move(parts));
  prepare({write("a.txt", "lowest\n</s>\nnewest</s>wider<|endoftext|>fox")}, tokenizer);
  const TokenFile file(folder_ / "out.tokens");
  EXPECT_EQ(file.document_count(), 4u);
  EXPECT_EQ(tokenizer.decode(ids_of(file)), "lowest</s>newest</s>wider</s>fox</s>");
}

TEST_F(TokenFileTest, WindowsLineEndsGiveTheSameTokens) {
  prepare({write("lf.txt", "lowest\nnewest\n<|endoftext|>\nwider\n")}, tokenizer_);
  const std::vector<uint32_t> expected = ids_of(TokenFile(folder_ / "out.tokens"));
  const Path crlf = write("crlf.txt", "lowest\r\nnewest\r\n<|endoftext|>\r\nwider\r\n");
  const TokenFileCounts counts = prepare({crlf}, tokenizer_);
  EXPECT_EQ(ids_of(TokenFile(folder_ / "out.tokens")), expected);
  ASSERT_EQ(counts.notes.size(), 1u);
  EXPECT_NE(counts.notes[0].find("4 line ends CRLF and 0 CR"), std::string::npos) << counts.notes[0];
  prepare_token_file(std::vector{crlf}, tokenizer_, folder_ / "kept.tokens", 1, {.keep_line_ends = true});
  EXPECT_EQ(tokenizer_.decode(ids_of(TokenFile(folder_ / "kept.tokens"))),
            "lowest\r\nnewest<|endoftext|>wider<|endoftext|>");
}

TEST_F(TokenFileTest, ReadingPastTheEndIsAnError) {
  prepared();
  const TokenFile file(folder_ / "out.tokens");
  std::vector<uint32_t> ids(2);
  test::expect_error(ErrorCode::kInvalidArgument, {"out.tokens"}, [&] { file.read(file.size() - 1, ids); });
  test::expect_error(ErrorCode::kInvalidArgument, {"out.tokens"}, [&] { file.read(UINT64_MAX, ids); });
}

TEST_F(TokenFileTest, TinyStoriesWithGpt2) {
  FABULA_NEEDS_DATA(data);
  const Tokenizer gpt2 = import_gpt2(data / "tokenizers" / "gpt2_vocab.json", data / "tokenizers" / "gpt2_merges.txt");
  const TokenFileCounts counts = prepare({data / "tinystories" / "train.txt"}, gpt2);
  EXPECT_EQ(counts.documents, 13244u);
  // The whole text has 2,694,708 tokens; the two newlines around each end mark are not kept.
  EXPECT_EQ(counts.tokens, 2694708u - 2 * 13244);
}

}  // namespace
}  // namespace fabula::text
