// Which texts a run's tokens are made from, and when they are made anew. No device is needed.
#include "train/data_set.hpp"

#include <gtest/gtest.h>

#include "base/atomic_file.hpp"
#include "base/file_io.hpp"
#include "expect_error.hpp"
#include "formats/config_io.hpp"
#include "temp_dir.hpp"
#include "text/tokenizer_files.hpp"
#include "text/train_bpe.hpp"

namespace fabula::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = R"({"model_type": "gpt2", "n_positions": 16, "n_embd": 16, "n_layer": 1, "n_head": 2})";

class DataSetTest : public testing::Test {
 protected:
  fs::path write(const std::string& name, std::string_view content) {
    write_file_atomically(folder_ / name, content);
    return folder_ / name;
  }
  /// A tokenizer of single bytes with some added tokens, as a file.
  fs::path tokenizer(const std::vector<std::string>& added = {}) {
    const std::string_view document = "ab";
    text::TokenizerParts parts = text::train_bpe(std::span(&document, 1), {.vocab_size = 257}).parts();
    for (const std::string& content : added) {
      parts.added.push_back({static_cast<std::uint32_t>(parts.tokens.size()), content});
      parts.tokens.push_back(content);
    }
    text::write_tokenizer_json(text::Tokenizer(std::move(parts)), folder_ / "tokenizer.json");
    return folder_ / "tokenizer.json";
  }
  DataSet open(const DataOptions& options) {
    RunConfig config = parse_config(kConfig, "config");
    return open_data(options, config, folder_ / "run");
  }
  static std::string text_of(const DataSet& data, const text::TokenFile& file) {
    std::vector<std::uint32_t> ids(file.size());
    file.read(0, ids);
    return data.tokenizer->decode(ids);
  }

  test::TempDir folder_;
};

std::string repeated(std::string_view line, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += line;
  return text;
}

TEST_F(DataSetTest, AFractionOfASingleDocumentIsHeldOutWhenAsked) {
  DataOptions options;
  options.data = write("one.txt", repeated("A fox ran home.\n", 50));
  options.tokenizer = tokenizer();
  EXPECT_EQ(open(options).valid, nullptr);
  options.valid_fraction = 0.1;
  const DataSet data = open(options);
  ASSERT_NE(data.valid, nullptr);
  // At the start of a line, a tenth from the end.
  const std::string end = "A fox ran home.<|endoftext|>";
  EXPECT_EQ(text_of(data, *data.train), repeated("A fox ran home.\n", 44) + end);
  EXPECT_EQ(text_of(data, *data.valid), repeated("A fox ran home.\n", 4) + end);
  EXPECT_NE(data.description.find("the last 10 % held out"), std::string::npos) << data.description;
  // Where there are no lines, between words; where there are none, between characters.
  options.data = write("one.txt", repeated("fox ", 100));
  const DataSet words = open(options);
  EXPECT_EQ(text_of(words, *words.valid), repeated("fox ", 10) + "<|endoftext|>");
  options.data = write("one.txt", repeated("é", 100));
  options.valid_fraction = 0.125;  // of 200 bytes: within a character
  const DataSet characters = open(options);
  EXPECT_EQ(text_of(characters, *characters.valid), repeated("é", 13) + "<|endoftext|>");
  options.data = write("one.txt", "x");
  test::expect_error(ErrorCode::kInvalidArgument, {"one.txt", "1 bytes", "0.125"}, [&] { open(options); });
}

TEST_F(DataSetTest, AFractionOfSeveralDocumentsIsWholeDocuments) {
  DataOptions options;
  std::string text;
  for (int i = 0; i < 10; ++i) text += std::to_string(i) + "\n<|endoftext|>\n";
  options.data = write("ten.txt", text);
  options.tokenizer = tokenizer();
  EXPECT_EQ(open(options).valid->document_count(), 1u);
  options.valid_fraction = 0.3;
  const DataSet data = open(options);
  EXPECT_EQ(text_of(data, *data.valid), "7<|endoftext|>8<|endoftext|>9<|endoftext|>");
  EXPECT_EQ(data.train->document_count(), 7u);
}

TEST_F(DataSetTest, OtherSettingsOfReadingMakeTheFilesAnew) {
  DataOptions options;
  options.data = write("crlf.txt", "a\r\nb\r\n<|endoftext|>\r\nc\r\nd\r\n");
  options.tokenizer = tokenizer();
  const DataSet first = open(options);
  EXPECT_EQ(text_of(first, *first.train), "a\nb<|endoftext|>");
  EXPECT_EQ(text_of(first, *first.valid), "c\nd<|endoftext|>");
  options.text.keep_line_ends = true;
  const DataSet kept = open(options);
  EXPECT_EQ(text_of(kept, *kept.train), "a\r\nb<|endoftext|>");
  // A run with a checkpoint keeps to its texts.
  write("run/state.json", "{}");
  options.text.keep_line_ends = false;
  test::expect_error(ErrorCode::kInvalidArgument, {"trained on other texts", "line ends kept"}, [&] { open(options); });
}

TEST_F(DataSetTest, FilesOfOlderRulesAreMadeAnewUnlessTheyWereTrainedOn) {
  DataOptions options;
  options.data = write("chat.txt", "<|user|>a<|endoftext|>b");
  options.tokenizer = tokenizer({"<|user|>"});
  const DataSet data = open(options);
  EXPECT_EQ(data.train->size(), 3u);
  EXPECT_EQ((*data.train)[0], 257u);
  // As a program that knew no rules had it.
  const fs::path source = folder_ / "run" / "data" / "source.txt";
  std::string lines = read_file(source);
  lines.erase(lines.find('\n', lines.find('\n') + 1) + 1);
  write("run/data/source.txt", lines);
  write("run/data/train.txt", "older");
  fs::remove(folder_ / "run" / "data" / "train.tokens");
  write("run/state.json", "{}");
  EXPECT_EQ(open(options).train->size(), 6u);  // "older" and its end
  fs::remove(folder_ / "run" / "state.json");
  EXPECT_EQ(open(options).train->size(), 3u);
}

TEST_F(DataSetTest, WhatIsNoTextIsRefusedUnlessBytesAreAskedFor) {
  DataOptions options;
  const std::string wide("A\0 \0f\0o\0x\0\n\0", 12);
  options.data = write("wide.txt", wide);
  options.tokenizer = tokenizer();
  test::expect_error(ErrorCode::kFormat, {"wide.txt", "UTF-16", "--bytes"}, [&] { open(options); });
  options.text.bytes = true;
  const DataSet data = open(options);
  EXPECT_EQ(text_of(data, *data.train), wide + "<|endoftext|>");
}

TEST_F(DataSetTest, AFractionIsHeldOutOfATextAlone) {
  DataOptions options;
  options.valid_fraction = 0.1;
  test::expect_error(ErrorCode::kInvalidArgument, {"built-in stories"}, [&] { open(options); });
  options.tokenizer = tokenizer();
  const text::Tokenizer bytes = text::load_tokenizer(options.tokenizer);
  text::prepare_token_file(std::vector{write("a.txt", "a fox")}, bytes, folder_ / "a.tokens");
  options.data = folder_ / "a.tokens";
  test::expect_error(ErrorCode::kInvalidArgument, {"a.tokens holds tokens"}, [&] { open(options); });
}

}  // namespace
}  // namespace fabula::train
