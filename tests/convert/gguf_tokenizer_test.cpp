// Tokenizers as GGUF's keys have them: what the keys say, and that texts encode alike by what is read back.
#include "convert/gguf_tokenizer.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/log.hpp"
#include "convert/small_models.hpp"
#include "expect_error.hpp"
#include "log_capture.hpp"
#include "support/random_text.hpp"
#include "temp_dir.hpp"
#include "text/llama2c_vocabulary.hpp"
#include "text/pre_tokenizer.hpp"
#include "text/tokenizer_files.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using test::TempDir;
using text::Tokenizer;
using text::TokenizerParts;

GgufTokens tokens_of(const Tokenizer& tokenizer, std::int64_t vocabulary = 0) {
  GgufTokens tokens{.vocabulary = vocabulary > 0 ? vocabulary : tokenizer.vocab_size(), .start = {}, .stops = {}};
  if (tokenizer.has_eot()) tokens = {tokens.vocabulary, tokenizer.eot_id(), {tokenizer.eot_id()}};
  return tokens;
}

GgufFile written(const TempDir& dir, const Tokenizer& tokenizer, const GgufTokens& tokens) {
  GgufKeys keys;
  add_tokenizer_keys(keys, tokenizer, tokens);
  write_gguf(dir / "t.gguf", keys, {});
  return GgufFile::open(dir / "t.gguf");
}

void expect_alike(const Tokenizer& tokenizer, std::int64_t vocabulary = 0, std::string_view left_out = "") {
  const TempDir dir;
  const GgufVocabulary read = read_tokenizer_keys(written(dir, tokenizer, tokens_of(tokenizer, vocabulary)));
  std::mt19937 random(7);
  for (int i = 0; i < 1000; ++i) {
    const std::string text = test::random_text(random, left_out);
    for (const bool added : {false, true})
      ASSERT_EQ(read.tokenizer.encode(text, {.added_tokens = added}), tokenizer.encode(text, {.added_tokens = added}))
          << text;
  }
  EXPECT_EQ(read.tokenizer.vocab_size(), tokenizer.vocab_size());
  EXPECT_EQ(read.tokenizer.end_of_text(), tokenizer.end_of_text());
}

Tokenizer llama2c() {
  return text::parse_llama2c(test::llama2c_file(test::small_pieces()), "tok.bin");
}

/// A tokenizer of the same parts but for what is changed.
template <class Change>
Tokenizer changed(const Tokenizer& tokenizer, Change change) {
  TokenizerParts parts = tokenizer.parts();
  change(parts);
  return Tokenizer(std::move(parts));
}

TEST(GgufTokenizer, AThousandTextsEncodeAlike) {
  for (const char* const pattern : {"gpt2", "cl100k_base", "o200k_base"}) {
    SCOPED_TRACE(pattern);
    expect_alike(test::small_bpe(330, pattern));
    expect_alike(test::small_bpe(330, pattern), 400);  // a padded vocabulary
  }
  expect_alike(llama2c(), 0, "\u2581");
  expect_alike(changed(test::small_bpe(300), [](TokenizerParts& parts) {
    parts.patterns = {"\\p{N}", parts.patterns[0]};
  }));
}

TEST(GgufTokenizer, RealVocabulariesEncodeAlike) {
  const char* const data = std::getenv("FABULA_DATA");
  const fs::path folder = data != nullptr ? data : "data";
  if (!fs::exists(folder / "tokenizers" / "gpt2_vocab.json"))
    GTEST_SKIP() << folder.string() << " has no tokenizers (FABULA_DATA names it)";
  expect_alike(text::load_gpt2(folder / "tokenizers" / "gpt2_vocab.json", folder / "tokenizers" / "gpt2_merges.txt"));
  expect_alike(text::load_tokenizer(folder / "tokenizers" / "cl100k_base.tiktoken"));
  expect_alike(text::load_tokenizer(folder / "tokenizers" / "qwen3_tokenizer.json"), 151936);
  expect_alike(text::load_tokenizer(folder / "weights" / "tok512.bin"), 0, "\u2581");
}

TEST(GgufTokenizer, ByteLevelKeysSayWhatLlamaCppReads) {
  const TempDir dir;
  const Tokenizer tokenizer = changed(test::small_bpe(300), [](TokenizerParts& parts) {
    parts.tokens.push_back("<|user|>");
    parts.added.push_back({300, "<|user|>", false});
  });
  const GgufFile file = written(dir, tokenizer, {.vocabulary = 303, .start = 299, .stops = {299, 300}});
  EXPECT_EQ(file.text("tokenizer.ggml.model"), "gpt2");
  EXPECT_EQ(file.text("tokenizer.ggml.pre"), "gpt-2");
  const auto tokens = file.texts("tokenizer.ggml.tokens").value();
  const auto types = file.integers("tokenizer.ggml.token_type").value();
  ASSERT_EQ(tokens.size(), 303u);
  EXPECT_EQ(tokens[0], "!");
  EXPECT_EQ(tokens[tokenizer.token_id(" t").value()], "\u0120t");
  EXPECT_EQ(tokens[299], "<|endoftext|>");
  EXPECT_EQ(tokens[300], "<|user|>");
  EXPECT_EQ(tokens[302], "[PAD302]");
  EXPECT_EQ((std::vector<std::int64_t>(types.end() - 5, types.end())), (std::vector<std::int64_t>{1, 3, 4, 5, 5}));
  const auto merges = file.texts("tokenizer.ggml.merges").value();
  EXPECT_EQ(merges.size(), tokenizer.parts().merges.size());
  EXPECT_EQ(std::count(merges[0].begin(), merges[0].end(), ' '), 1);
  EXPECT_EQ(file.integer("tokenizer.ggml.bos_token_id"), 299);
  EXPECT_EQ(file.integer("tokenizer.ggml.eos_token_id"), 299);
  EXPECT_EQ(file.integer("tokenizer.ggml.eot_token_id"), 300);
  EXPECT_EQ(file.integer("tokenizer.ggml.padding_token_id"), 299);
  EXPECT_EQ(file.flag("tokenizer.ggml.add_bos_token"), false);
  EXPECT_FALSE(file.find("tokenizer.ggml.add_space_prefix"));
  const GgufVocabulary read = read_tokenizer_keys(file);
  EXPECT_EQ(read.tokens.stops, (std::vector<std::uint32_t>{299, 300}));
  EXPECT_FALSE(read.tokenizer.parts().added.back().special);
}

TEST(GgufTokenizer, PieceKeysSayWhatLlamaCppReads) {
  const TempDir dir;
  const Tokenizer tokenizer = llama2c();
  const GgufFile file = written(dir, tokenizer, {.vocabulary = tokenizer.vocab_size(), .start = 1, .stops = {1, 2}});
  EXPECT_EQ(file.text("tokenizer.ggml.model"), "llama");
  const auto tokens = file.texts("tokenizer.ggml.tokens").value();
  const auto types = file.integers("tokenizer.ggml.token_type").value();
  const auto scores = file.numbers("tokenizer.ggml.scores").value();
  EXPECT_EQ((std::vector<std::string_view>(tokens.begin(), tokens.begin() + 4)),
            (std::vector<std::string_view>{"<unk>", "<s>", "</s>", "<0x00>"}));
  EXPECT_EQ((std::vector<std::int64_t>(types.begin(), types.begin() + 4)), (std::vector<std::int64_t>{2, 3, 3, 6}));
  const auto id = [&](const char* text) { return tokenizer.token_id(text).value(); };
  EXPECT_EQ(tokens[id(" the")], "\u2581the");
  EXPECT_EQ(types[id(" the")], 1);
  EXPECT_GT(scores[id(" t")], scores[id("he")]);
  EXPECT_EQ(scores[id("ee")], scores[id("eee")]);  // they tie in the source
  EXPECT_GT(scores[id("the")], scores[id("t")]);
  EXPECT_EQ(file.integer("tokenizer.ggml.unknown_token_id"), 0);
  EXPECT_EQ(file.flag("tokenizer.ggml.add_bos_token"), true);
  EXPECT_EQ(file.flag("tokenizer.ggml.add_space_prefix"), true);
  const GgufVocabulary read = read_tokenizer_keys(file);
  EXPECT_EQ(read.tokenizer.parts().fallback->begin, 1u);
  EXPECT_EQ(read.tokenizer.eot_id(), 1u);
}

TEST(GgufTokenizer, WhatLlamaCppWouldDoOtherwiseIsSaid) {
  const auto warning = [](const Tokenizer& tokenizer) {
    const TempDir dir;
    const test::LogCapture log;
    written(dir, tokenizer, tokens_of(tokenizer));
    return log.text();
  };
  EXPECT_EQ(warning(test::small_bpe(300)), "");
  EXPECT_EQ(warning(test::small_bpe(300, "cl100k_base")), "");
  EXPECT_NE(warning(test::small_bpe(300, "o200k_base")).find("gpt-4o"), std::string::npos);
  const Tokenizer other = changed(test::small_bpe(300), [](TokenizerParts& parts) { parts.patterns = {"[a-z]+"}; });
  EXPECT_NE(warning(other).find("no name for the tokenizer's pre-tokenizer"), std::string::npos);
  const Tokenizer prefixed =
      changed(test::small_bpe(300), [](TokenizerParts& parts) { parts.prefix = text::PrefixSpace::kUnlessSpace; });
  EXPECT_NE(warning(prefixed).find("a space before a text"), std::string::npos);
  const TempDir dir;
  const test::LogCapture log;
  GgufTokens tokens = tokens_of(test::small_bpe(300));
  tokens.stops = {299, 1, 2, 3};
  written(dir, test::small_bpe(300), tokens);
  EXPECT_NE(log.text().find("4 tokens end a text, the file holds two of them: at the other 2"), std::string::npos);
}

TEST(GgufTokenizer, WhatHasNoFormThereIsRefused) {
  const TempDir dir;
  const auto refused = [&](const std::vector<std::string>& parts, const Tokenizer& tokenizer, std::int64_t vocabulary) {
    expect_error(ErrorCode::kUnsupported, parts, [&] { written(dir, tokenizer, tokens_of(tokenizer, vocabulary)); });
  };
  refused({"300 tokens", "290"}, test::small_bpe(300), 290);
  const Tokenizer twice = changed(test::small_bpe(300), [](TokenizerParts& parts) {
    parts.tokens.push_back("a");
    parts.added.push_back({300, "a"});
  });
  refused({"300", "\"a\""}, twice, 301);
  const Tokenizer listed = changed(llama2c(), [](TokenizerParts& parts) { parts.merges.pop_back(); });
  refused({"scores"}, listed, 0);
}

}  // namespace
}  // namespace fabula::convert
