// SentencePiece's kind of BPE: llama2.c's tokenizer.bin, what is written of it, and what Hugging Face's files say.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/mapped_file.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"
#include "text/fixture.hpp"
#include "text/llama2c_vocabulary.hpp"
#include "text/token_file.hpp"
#include "text/utf8.hpp"

namespace fabula::text {
namespace {

using nlohmann::json;
using Ids = std::vector<uint32_t>;
using test::ScoredPiece;

Tokenizer parse(const std::vector<ScoredPiece>& all) {
  return parse_llama2c(test::llama2c_file(all), "tok.bin");
}
Tokenizer rewritten(const Tokenizer& tokenizer) {
  return parse_tokenizer_json(tokenizer_json(tokenizer), "tokenizer.json");
}

std::string random_utf8(std::mt19937& random, size_t characters) {
  std::string text;
  while (characters-- > 0) {
    constexpr char32_t kLast[] = {0x7f, 0x7f, 0x7f, 0x7ff, 0xffff, 0x10ffff};
    char32_t point = 0xd800;
    while (point >= 0xd800 && point < 0xe000) point = random() % (kLast[random() % 6] + 1);
    append_utf8(text, random() % 4 == 0 ? U' ' : point);
  }
  return text;
}
std::string random_bytes(std::mt19937& random, size_t count) {
  std::string bytes;
  while (count-- > 0) bytes.push_back(static_cast<char>(random() % 3 == 0 ? 0x80 + random() % 64 : random()));
  return bytes;
}

TEST(ByteFallback, MergesAsLlama2cDoesWhateverThePiecesAndScores) {
  std::mt19937 random(7);
  constexpr std::string_view kAlphabet[] = {"a", "b", " ", "\xc3\xa9"};
  const auto word = [&](size_t longest) {
    std::string text;
    for (size_t n = 1 + random() % longest; n > 0; --n) text += kAlphabet[random() % 4];
    return text;
  };
  for (int round = 0; round < 300; ++round) {
    std::map<std::string, float> scores;  // some alike, some below what llama2.c merges at all
    const size_t kinds = 1 + random() % 12;
    for (size_t n = random() % 30; n > 0; --n)
      scores[word(5)] = random() % 40 == 0 ? -2e10f : -static_cast<float>(random() % kinds);
    for (const std::string_view letter : kAlphabet)
      if (random() % 8 != 0) scores.emplace(letter, -50.f);  // one that is missing falls back on bytes
    std::vector<ScoredPiece> pieces;
    for (const auto& [text, score] : scores) pieces.push_back({text, score});
    std::shuffle(pieces.begin(), pieces.end(), random);
    const std::vector<ScoredPiece> all = test::with_bytes(pieces);
    const test::PlainScores plain(all);
    const Tokenizer tokenizer = parse(all), again = rewritten(tokenizer);
    EXPECT_EQ(again.fingerprint(), tokenizer.fingerprint());
    for (const size_t longest : {6u, 40u, 120u}) {
      const std::string text = word(longest);
      ASSERT_EQ(tokenizer.encode(text), plain.encode(text)) << text << " in round " << round;
      ASSERT_EQ(again.encode(text), plain.encode(text)) << text << " in round " << round;
      ASSERT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
    }
  }
}

TEST(ByteFallback, RoundTripsAnyText) {
  const std::vector<ScoredPiece> all = test::small_pieces();
  const test::PlainScores plain(all);
  const Tokenizer tokenizer = parse(all);
  std::mt19937 random(1);
  for (int i = 0; i < 1000; ++i) {
    for (const std::string& text : {random_utf8(random, random() % 40), random_bytes(random, random() % 40)}) {
      const Ids ids = tokenizer.encode(text);
      ASSERT_EQ(tokenizer.decode(ids), text);
      ASSERT_EQ(ids, plain.encode(text));
      ASSERT_EQ(tokenizer.decode(tokenizer.encode(text, {.added_tokens = true})), text);
    }
  }
  // U+2581 is no space, a stray byte none of a character's, and NUL a byte like another.
  for (const std::string text : {"\u2581 a\u2581", " ", "  ", "\xc3\xa9\x80\x80\x80", "\xff", "a<0x0A>\n"})
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(std::string_view("\0the\0", 5))), std::string_view("\0the\0", 5));
  EXPECT_TRUE(tokenizer.encode("").empty());
}

TEST(ByteFallback, LongTextsTakeNoSquareOfTheirLength) {
  const Tokenizer tokenizer = parse(test::small_pieces());
  const std::string text(300'000, 'e');  // one piece, as merges of it join everywhere
  const Ids ids = tokenizer.encode(text);
  EXPECT_EQ(tokenizer.decode(ids), text);
  EXPECT_LE(ids.size(), text.size() / 2 + 2);
}

TEST(ByteFallback, TokensOfNamesAreMadeByNoText) {
  std::vector<ScoredPiece> pieces = {{"<", -1}, {"s", -2}, {">", -3}, {"<s", -4}, {" ", -9}, {"/", -9}, {"</s", -9}};
  const Tokenizer tokenizer = parse(test::with_bytes(pieces));
  EXPECT_EQ(tokenizer.encode("<s>"), (Ids{263, 262, 261}));
  EXPECT_EQ(tokenizer.encode("<s></s>", {.added_tokens = true}), (Ids{1, 2}));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("<s></s>")), "<s></s>");
  EXPECT_EQ(tokenizer.eot_id(), 1u);  // what llama2.c puts between texts
  EXPECT_EQ(tokenizer.token_bytes(1), "<s>");
  EXPECT_EQ(tokenizer.token_bytes(3 + '\n'), "\n");
  EXPECT_FALSE(tokenizer.can_end_documents(3 + 'a'));
  EXPECT_FALSE(tokenizer.can_end_documents(259));
  EXPECT_TRUE(tokenizer.can_end_documents(262));  // "<s", of a merge
}

TEST(ByteFallback, TheSpaceOfABeginningIsDropped) {
  const Tokenizer tokenizer = parse(test::small_pieces());
  const Ids the = tokenizer.encode("the");
  EXPECT_EQ(the, Ids{261});
  EXPECT_EQ(tokenizer.decode(Ids{261, 261}), "the the");
  EXPECT_EQ(tokenizer.decode(Ids{1, 261, 261}), "<s>the the");
  EXPECT_EQ(tokenizer.encode("the<s>the", {.added_tokens = true}), (Ids{261, 1, 261}));
  EXPECT_EQ(tokenizer.decode(Ids{261, 1, 261}), "the<s>the");
  EXPECT_EQ(tokenizer.decode_next(261, 261), " the");
  EXPECT_EQ(tokenizer.decode_next(261, 1), "the");
  EXPECT_EQ(tokenizer.decode_next(261, {}), "the");
}

TEST(ByteFallback, StreamsBytesAsCharactersAndSpacesAsTheyCome) {
  const Tokenizer tokenizer = parse(test::small_pieces());
  const auto stream = [&](const Ids& before, const Ids& ids) {
    StreamDecoder decoder(tokenizer, before);
    std::string shown;
    for (const uint32_t id : ids) shown += decoder.push(id) + "|";
    return shown + decoder.finish();
  };
  EXPECT_EQ(stream({}, {261, 261}), "the| the|");
  EXPECT_EQ(stream({1}, {261}), "the|");
  EXPECT_EQ(stream({1, 261}, {261}), " the|");
  EXPECT_EQ(stream({}, {3 + 0xe2, 3 + 0x96, 3 + 0x81, 3 + 0xff}), "||\u2581|\xff|");
  EXPECT_EQ(stream({}, {3 + 0xe2, 3 + 0x96}), "||\xe2\x96");
}

TEST(ByteFallback, PreparesATextForTraining) {
  const test::TempDir folder;
  std::ofstream(folder / "text.txt") << "the theeee<|endoftext|>e t\u00e9\n<s>the";
  std::ofstream(folder / "tok.bin", std::ios::binary) << test::llama2c_file(test::small_pieces());
  const Tokenizer tokenizer = load_tokenizer(folder / "tok.bin");
  const std::vector<std::filesystem::path> texts = {folder / "text.txt"};
  const TokenFileCounts counts = prepare_token_file(texts, tokenizer, folder / "tokens.bin", 2);
  EXPECT_EQ(counts.documents, 3u);
  const TokenFile file(folder / "tokens.bin");
  Ids ids(file.size());
  file.read(0, ids);
  Ids expected;
  for (const char* document : {"the theeee", "e t\u00e9", "the"}) {
    const Ids more = test::PlainScores(test::small_pieces()).encode(document);
    expected.insert(expected.end(), more.begin(), more.end());
    expected.push_back(1);
  }
  EXPECT_EQ(ids, expected);
  write_tokenizer_json(tokenizer, folder / "tokenizer.json");
  file.check_tokenizer(load_tokenizer(folder / "tokenizer.json"));  // the same fingerprint
  const Tokenizer other = load_tokenizer(folder / "tok.bin", {.end_token = "</s>"});
  EXPECT_EQ(other.eot_id(), 2u);
  EXPECT_EQ(rewritten(other).eot_id(), 2u);
}

TEST(Llama2cVocabulary, WhatIsNoneIsRefused) {
  const std::vector<ScoredPiece> good = test::small_pieces();
  const auto refused = [](const std::string& file, const std::vector<std::string>& parts) {
    std::vector<std::string> all = parts;
    all.push_back("tok.bin: ");
    test::expect_error(ErrorCode::kFormat, all, [&] { parse_llama2c(file, "tok.bin"); });
  };
  const auto changed = [&](size_t id, const ScoredPiece& piece) {
    std::vector<ScoredPiece> all = good;
    all[id] = piece;
    return test::llama2c_file(all);
  };
  const auto with_number = [&](size_t at, int32_t number) {
    std::string file = test::llama2c_file(good);
    std::memcpy(file.data() + at, &number, 4);
    return file;
  };
  refused("", {"cut short"});
  refused("abc", {"the length of the longest token"});
  for (const int32_t longest : {0, -1, 1 << 20, std::numeric_limits<int32_t>::min()})
    refused(with_number(0, longest), {fmt::format("the longest token has {} bytes", longest)});
  for (const int32_t length : {-1, 1 << 20, std::numeric_limits<int32_t>::max()})
    refused(with_number(8, length), {fmt::format("token 0 has {} bytes", length)});
  refused(with_number(8, 6), {"token 0 is", "expected \"<unk>\""});
  const std::string file = test::llama2c_file(good);
  refused(file.substr(0, file.size() - 1), {"token 272 has 3 bytes, the file ends after 2"});
  refused(file.substr(0, file.size() - 4), {"ends within a length"});
  refused(file.substr(0, file.size() - 9), {"ends within a score"});
  refused(test::llama2c_file(test::with_bytes({})), {"it has 259 tokens"});
  refused(changed(1, {"<begin>", 0}), {"token 1 is \"<begin>\", expected \"<s>\""});
  refused(changed(3 + 10, {"<0x0a>", 0}), {"token 13 is \"<0x0a>\", expected \"<0x0A>\""});
  refused(changed(260, {"\xff", 0}), {"token 260", "not UTF-8"});
  refused(changed(260, {"he", 0}), {"tokens 259 and 260 are both \"he\""});
  refused(changed(260, {"<0x41>", 0}), {"tokens 68 and 260"});
  refused(changed(260, {"<s>", 0}), {"tokens 1 and 260"});
  for (const float score : {NAN, INFINITY}) refused(changed(260, {"x", score}), {"the score of token 260"});
  // Every beginning of a file is refused, or is a file of fewer tokens.
  for (size_t size = 0; size < file.size(); ++size) {
    try {
      EXPECT_LT(parse_llama2c(file.substr(0, size), "tok.bin").vocab_size(), good.size());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kFormat);
    }
  }
}

/// As Llama 2's file is: spaces are U+2581, put there by a normalizer.
json llama_json() {
  json vocab = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int byte = 0; byte < 256; ++byte) vocab[fmt::format("<0x{:02X}>", byte)] = 3 + byte;
  for (const char* text : {"\u2581t", "he", "\u2581the", "\u2581", "t", "h", "e", "\u2581\u2581"})
    vocab[text] = vocab.size();
  json added = json::array();
  for (const char* name : {"<unk>", "<s>", "</s>"})
    added.push_back({{"id", vocab[name]}, {"content", name}, {"normalized", false}, {"special", true}});
  return {{"version", "1.0"},
          {"added_tokens", added},
          {"normalizer",
           {{"type", "Sequence"},
            {"normalizers",
             {{{"type", "Prepend"}, {"prepend", "\u2581"}},
              {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}}}}},
          {"pre_tokenizer", nullptr},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single", {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}}}}}}}},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders",
             {{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}},
              {{"type", "ByteFallback"}},
              {{"type", "Fuse"}},
              {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"vocab", vocab},
            {"merges", {"\u2581 t", "h e", "\u2581t he", "\u2581 \u2581"}}}}};
}

Tokenizer parse_json(const json& root) {
  return parse_tokenizer_json(root.dump(), "tokenizer.json");
}

TEST(LlamaTokenizerJson, IsRead) {
  const Tokenizer tokenizer = parse_json(llama_json());
  EXPECT_TRUE(tokenizer.notes().empty());
  EXPECT_EQ(tokenizer.encode("the the"), (Ids{261, 261}));
  EXPECT_EQ(tokenizer.encode(" the"), (Ids{262, 261}));
  EXPECT_EQ(tokenizer.encode("t\u2581the\n"), (Ids{259, 261, 3 + '\n'}));  // its own U+2581 is a space, as elsewhere
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("the  the\u00e9")), "the  the\u00e9");
  EXPECT_EQ(tokenizer.eot_id(), 2u);
  const Tokenizer again = rewritten(tokenizer);
  EXPECT_EQ(again.fingerprint(), tokenizer.fingerprint());
  EXPECT_EQ(tokenizer_json(again), tokenizer_json(tokenizer));
  const json written = json::parse(tokenizer_json(tokenizer));
  for (const char* key : {"normalizer", "pre_tokenizer", "decoder"}) EXPECT_EQ(written[key], llama_json()[key]) << key;
  EXPECT_EQ(written["model"]["vocab"], llama_json()["model"]["vocab"]);
  EXPECT_EQ(written["model"]["merges"], llama_json()["model"]["merges"]);
  EXPECT_FALSE(written["model"].contains("merge_ranks"));
}

TEST(LlamaTokenizerJson, MetaspaceSaysWhereSpacesGo) {
  const auto with = [](const json& metaspace) {
    json root = llama_json();
    root["normalizer"] = nullptr;
    root["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "\u2581"}};
    root["pre_tokenizer"].update(metaspace);
    const Tokenizer tokenizer = parse_json(root);
    EXPECT_EQ(rewritten(tokenizer).fingerprint(), tokenizer.fingerprint());
    return parse_json(root);
  };
  const EncodeOptions added{.added_tokens = true};
  const Tokenizer first = with({{"prepend_scheme", "first"}, {"split", false}});
  EXPECT_EQ(first.encode("the<s>the", added), (Ids{261, 1, 263, 260}));
  EXPECT_EQ(first.encode(" the"), (Ids{261}));
  EXPECT_EQ(first.encode("  the"), (Ids{262, 261}));
  EXPECT_EQ(first.encode("e    e"), (Ids{262, 265, 266, 266, 265}));
  const Tokenizer always = with({{"prepend_scheme", "always"}});
  EXPECT_EQ(always.encode("the<s>the", added), (Ids{261, 1, 261}));
  EXPECT_EQ(always.encode("e    e"), (Ids{262, 265, 262, 262, 262, 262, 265}));  // split: no token of two spaces
  EXPECT_EQ(with({{"prepend_scheme", "never"}}).encode("the"), (Ids{263, 260}));
  EXPECT_EQ(with({{"add_prefix_space", false}}).encode("the"), (Ids{263, 260}));
  EXPECT_EQ(with({{"add_prefix_space", true}}).encode("the"), (Ids{261}));
}

TEST(LlamaTokenizerJson, WhatCannotBeDoneExactlyIsRefused) {
  const auto refused = [](ErrorCode code, const std::vector<std::string>& parts, const char* where, const json& value) {
    json root = llama_json();
    root[json::json_pointer(where)] = value;
    test::expect_error(code, parts, [&] { parse_json(root); });
  };
  const ErrorCode unsupported = ErrorCode::kUnsupported, format = ErrorCode::kFormat;
  refused(unsupported, {"normalizer is NFKC"}, "/normalizer", {{"type", "NFKC"}});
  refused(unsupported, {"a Prepend of"}, "/normalizer", {{"type", "Prepend"}, {"prepend", "\u2581"}});
  refused(unsupported, {"normalizer is Replace"}, "/normalizer/normalizers/1/content", "_");
  refused(unsupported, {"pre_tokenizer is Split"}, "/pre_tokenizer", {{"type", "Split"}});
  refused(unsupported, {"pre_tokenizer is Metaspace"}, "/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "_"}});
  refused(unsupported, {"decoder is null"}, "/decoder", nullptr);
  refused(unsupported, {"decoder is ", "U+2581"}, "/decoder/decoders/0", {{"type", "Fuse"}});
  refused(unsupported, {"decoder is Strip"}, "/decoder/decoders/3/start", 2);
  refused(unsupported, {"ignore_merges"}, "/model/ignore_merges", true);
  refused(format, {"merge 1", "needs the token"}, "/model/merges/1", "h x");
  refused(format, {"merge 1", "needs the token"}, "/model/merges/1", "<0x41> h");
  refused(format, {"holds a space"}, "/model/vocab/ t", 300);
  refused(format, {"merge_ranks"}, "/model/merge_ranks", {0, 1});
  refused(format, {"merge_ranks", "place 2"}, "/model/merge_ranks", {0, 1, 0, 3});
  refused(format, {"merge_ranks", "place 1"}, "/model/merge_ranks", {0, 2, 2, 3});
  json root = llama_json();
  root["model"]["vocab"].erase("<0x41>");
  test::expect_error(format, {"no token <0x41>"}, [&] { parse_json(root); });
  root = llama_json();
  root["added_tokens"][1]["normalized"] = true;
  ASSERT_EQ(parse_json(root).notes().size(), 1u);
}

TEST(LlamaTokenizerJson, AByteLevelFileMayHaveTheFlag) {
  json root = json::parse(tokenizer_json(test::small_tokenizer()));
  root["model"]["byte_fallback"] = true;
  EXPECT_EQ(parse_json(root).fingerprint(), test::small_tokenizer().fingerprint());
}

TEST(Llama2cVocabulary, Tok512EncodesAsLlama2cDoes) {
  FABULA_NEEDS_DATA(data);
  const std::filesystem::path path = data / "weights" / "tok512.bin";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path.string() << " is not there";
  const Tokenizer tokenizer = load_tokenizer(path), again = rewritten(tokenizer);
  EXPECT_EQ(tokenizer.vocab_size(), 512u);
  const std::pair<std::string, Ids> known[] = {
      {"Once upon a time, there was a little girl named Lily.",
       {403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426}},
      {"a", {261}},
      {" a", {410, 261}},
      {"Hello\nworld", {346, 306, 414, 13, 424, 304, 341}},
      {"\u00dcn\u00ef\U0001f642 \u2581x", {410, 198, 159, 416, 198, 178, 243, 162, 156, 133, 410, 229, 153, 132, 444}},
      {"the  cat's \"dream\"</s> <0x0A>",
       {265, 410, 280, 294, 439, 419, 313, 418, 276, 314, 436, 504, 492, 419, 505, 410, 504, 477, 444, 477, 447, 505}}};
  for (const auto& [text, ids] : known) {
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    EXPECT_EQ(again.encode(text), ids) << text;
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
  const MappedFile file(path), stories(data / "tinystories" / "valid.txt");
  const test::PlainScores plain(test::pieces_of_file(file.text()));
  const std::string_view text = stories.text();
  for (size_t begin = 0; begin + 500 < text.size(); begin += 60000)
    ASSERT_EQ(tokenizer.encode(text.substr(begin, 500)), plain.encode(text.substr(begin, 500)));
}

}  // namespace
}  // namespace fabula::text
