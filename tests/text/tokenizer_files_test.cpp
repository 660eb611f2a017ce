#include "text/tokenizer_files.hpp"

#include <gtest/gtest.h>

#include "base/philox.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"
#include "text/byte_alphabet.hpp"
#include "text/fixture.hpp"

namespace fabula::text {
namespace {

using nlohmann::json;
using Ids = std::vector<uint32_t>;

json small_json() {
  return json::parse(tokenizer_json(test::small_tokenizer()));
}

Tokenizer parse(const json& root) {
  return parse_tokenizer_json(root.dump(), "tokenizer.json");
}

TEST(ByteAlphabet, IsGpt2s) {
  EXPECT_EQ(to_byte_alphabet("a b\n\x7f\xff"), "a\u0120b\u010a\u0121\u00ff");
  EXPECT_EQ(from_byte_alphabet("a\u0120b\u010a\u0121\u00ff"), "a b\n\x7f\xff");
  EXPECT_EQ(from_byte_alphabet("a b"), std::nullopt);
  EXPECT_EQ(from_byte_alphabet("\u4f60"), std::nullopt);
  EXPECT_EQ(from_byte_alphabet("\xff"), std::nullopt);
  EXPECT_EQ(gpt2_byte_order()[0], '!');
  EXPECT_EQ(gpt2_byte_order()[188], 0);
  EXPECT_EQ(gpt2_byte_order()[220], ' ');
  EXPECT_EQ(gpt2_byte_order()[255], 0xad);
}

TEST(TokenizerJson, RoundTripsThroughAFile) {
  const test::TempDir folder;
  const Tokenizer tokenizer = test::small_tokenizer();
  write_tokenizer_json(tokenizer, folder / "tokenizer.json");
  for (const std::filesystem::path& path : {folder / "tokenizer.json", folder.path()}) {
    const Tokenizer reread = load_tokenizer(path);
    EXPECT_EQ(reread.fingerprint(), tokenizer.fingerprint());
    EXPECT_EQ(reread.vocab_size(), tokenizer.vocab_size());
    EXPECT_EQ(reread.eot_id(), tokenizer.eot_id());
    EXPECT_TRUE(reread.notes().empty());
    EXPECT_EQ(reread.encode("It's the lowest, isn't it?"), tokenizer.encode("It's the lowest, isn't it?"));
  }
}

TEST(TokenizerJson, IsWhatHuggingFaceWrites) {
  const json root = small_json();
  EXPECT_EQ(root.at("model").at("type"), "BPE");
  EXPECT_EQ(root.at("pre_tokenizer").at("type"), "ByteLevel");
  EXPECT_EQ(root.at("pre_tokenizer").at("add_prefix_space"), false);
  EXPECT_EQ(root.at("decoder").at("type"), "ByteLevel");
  EXPECT_EQ(root.at("added_tokens").at(0).at("content"), "<|endoftext|>");
  EXPECT_EQ(root.at("model").at("vocab").at("!"), 0);
  EXPECT_EQ(root.at("model").at("merges").size(), test::small_tokenizer().parts().merges.size());
}

TEST(TokenizerJson, ReadsSplitPatternsPairsOfMergesAndHoles) {
  json root = small_json();
  root["pre_tokenizer"] = json::parse(R"({"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex": "\\p{N}|\\p{L}+"}, "behavior": "Isolated", "invert": false},
    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}]})");
  json merges = json::array();
  for (const json& merge : root["model"]["merges"]) {
    const auto text = merge.get<std::string>();
    merges.push_back({text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)});
  }
  root["model"]["merges"] = merges;
  root["added_tokens"].push_back({{"id", 1000}, {"content", "<x y>"}, {"special", false}});
  root["normalizer"] = {{"type", "NFC"}};
  const Tokenizer tokenizer = parse(root);
  EXPECT_EQ(tokenizer.vocab_size(), 1001u);
  EXPECT_EQ(tokenizer.token_bytes(999), "");
  EXPECT_EQ(tokenizer.encode("<x y>", {.added_tokens = true}), Ids{1000});
  EXPECT_EQ(tokenizer.decode(Ids{999, 1000}), "<x y>");
  EXPECT_EQ(tokenizer.encode("12").size(), 2u);
  EXPECT_EQ(tokenizer.encode(" lowest").size(), 1 + tokenizer.encode("lowest").size());  // the space is kept apart
  EXPECT_EQ(test::small_tokenizer().encode(" lowest").size(), 1u);
  ASSERT_EQ(tokenizer.notes().size(), 1u);
  EXPECT_NE(tokenizer.notes()[0].find("NFC"), std::string::npos);
  EXPECT_EQ(parse_tokenizer_json(tokenizer_json(tokenizer), "again").fingerprint(), tokenizer.fingerprint());
}

TEST(TokenizerJson, RefusesWhatItDoesNotDo) {
  const auto refused = [](const std::vector<std::string>& parts, const char* pointer, const json& value) {
    json root = small_json();
    root[json::json_pointer(pointer)] = value;
    test::expect_error(ErrorCode::kUnsupported, parts, [&] { parse(root); });
  };
  refused({"WordPiece", "BPE"}, "/model/type", "WordPiece");
  refused({"end_of_word_suffix", "</w>"}, "/model/end_of_word_suffix", "</w>");
  refused({"pre_tokenizer is Metaspace; this kind"}, "/pre_tokenizer", {{"type", "Metaspace"}});
  refused({"pre_tokenizer"}, "/pre_tokenizer", nullptr);
  refused({"pre_tokenizer is a Sequence of Digits, ByteLevel; add_prefix_space"}, "/pre_tokenizer",
          {{"type", "Sequence"},
           {"pretokenizers", {{{"type", "Digits"}}, {{"type", "ByteLevel"}, {"add_prefix_space", true}}}}});
  refused({"a Split with behavior \"Removed\"; a Split must be Isolated"}, "/pre_tokenizer",
          {{"type", "Split"}, {"behavior", "Removed"}, {"pattern", {{"String", "a"}}}});
  refused({"normalizer is Lowercase; only none or NFC"}, "/normalizer", {{"type", "Lowercase"}});
  refused({"normalizer is NFKC; only none or NFC"}, "/normalizer", {{"type", "NFKC"}});
  refused({"normalizer is a Sequence of NFC, StripAccents; only none or NFC"}, "/normalizer",
          {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "StripAccents"}}}}});
  refused({"WordPiece"}, "/decoder", {{"type", "WordPiece"}});
  refused({"the added token \"<|endoftext|>\" is lstrip"}, "/added_tokens/0/lstrip", true);
  json root = small_json();
  root["model"]["vocab"]["two words"] = 900;
  test::expect_error(ErrorCode::kUnsupported, {"two words", "byte-level"}, [&] { parse(root); });
}

TEST(TokenizerJson, PrefixSpaceStandsBeforeWhatHasNone) {
  json root = small_json();
  root["pre_tokenizer"]["add_prefix_space"] = true;
  const Tokenizer tokenizer = parse(root), plain = test::small_tokenizer();
  EXPECT_EQ(tokenizer.encode("lowest"), plain.encode(" lowest"));
  EXPECT_EQ(tokenizer.encode(" lowest"), plain.encode(" lowest"));
  EXPECT_EQ(tokenizer.encode("\nlowest"), plain.encode(" \nlowest"));
  EXPECT_EQ(tokenizer.encode(""), Ids{});
  EXPECT_EQ(tokenizer.encode("the<|endoftext|>the<|endoftext|>", {.added_tokens = true}),
            plain.encode(" the<|endoftext|> the<|endoftext|>", {.added_tokens = true}));
  EXPECT_NE(tokenizer.fingerprint(), plain.fingerprint());
  EXPECT_EQ(parse_tokenizer_json(tokenizer_json(tokenizer), "again").encode("lowest"), plain.encode(" lowest"));
}

TEST(TokenizerJson, WhatChangesNothingIsRead) {
  json root = small_json();
  root["model"]["byte_fallback"] = true;  // every byte has a token, so none falls back
  root["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}}}};
  const Tokenizer tokenizer = parse(root);
  EXPECT_EQ(tokenizer.encode("\xe2\x82\xac lowest"), test::small_tokenizer().encode("\xe2\x82\xac lowest"));
  EXPECT_TRUE(tokenizer.parts().nfc);
  // The text of a pattern of kind String is no regular expression.
  root["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"behavior", "Isolated"}, {"pattern", {{"String", "t\\s"}}}}, {{"type", "ByteLevel"}}}}};
  EXPECT_EQ(parse(root).encode("lowest \\s"), test::small_tokenizer().encode("lowest \\s"));
}

TEST(TokenizerJson, DepthAndDoubledKeysAreErrors) {
  const std::string deep = R"({"pre_tokenizer":{"type":"X","a":)" + std::string(100000, '[') + std::string(100000, ']');
  test::expect_error(ErrorCode::kFormat, {"deep.json: ", "deeper than"},
                     [&] { parse_tokenizer_json(deep + "}}", "deep.json"); });
  test::expect_error(ErrorCode::kFormat, {"vocab.json: ", "deeper than"}, [] {
    parse_gpt2(R"({"a":)" + std::string(100000, '[') + std::string(100000, ']') + "}", "vocab.json", "", "merges.txt");
  });
  test::expect_error(ErrorCode::kFormat, {"t.json: ", "\"model\"", "twice"},
                     [] { parse_tokenizer_json(R"({"model": {}, "model": {}})", "t.json"); });
  test::expect_error(ErrorCode::kFormat, {"vocab.json: ", "\"a\"", "twice"},
                     [] { parse_gpt2(R"({"a": 0, "a": 1})", "vocab.json", "", "merges.txt"); });
}

TEST(TokenizerJson, DamagedFilesAreErrors) {
  const auto damaged = [](const std::vector<std::string>& parts, const std::function<void(json&)>& damage) {
    json root = small_json();
    damage(root);
    test::expect_error(ErrorCode::kFormat, parts, [&] { parse(root); });
  };
  damaged({"no \"model\""}, [](json& root) { root.erase("model"); });
  damaged({"vocab", "array"}, [](json& root) { root["model"]["vocab"] = json::array(); });
  damaged({"merges"}, [](json& root) { root["model"].erase("merges"); });
  damaged({"4000000000"}, [](json& root) { root["model"]["vocab"]["zzz"] = 4000000000u; });
  damaged({"-1"}, [](json& root) { root["model"]["vocab"]["zzz"] = -1; });
  damaged({"both have id 0"}, [](json& root) { root["model"]["vocab"]["zzz"] = 0; });
  damaged({"0xff"}, [](json& root) { root["model"]["vocab"].erase("\u00ff"); });
  damaged({"merge 2", "neither"}, [](json& root) { root["model"]["merges"][2] = 7; });
  damaged({"merge 2", "one space"}, [](json& root) { root["model"]["merges"][2] = "abc"; });
  damaged({"merge 2", "lacks"}, [](json& root) { root["model"]["merges"][2] = "Q Q"; });
  damaged({"twice"}, [](json& root) { root["model"]["merges"].push_back(root["model"]["merges"][0]); });
  damaged({"added token 1"}, [](json& root) { root["added_tokens"].push_back({{"id", "x"}}); });
  damaged({"does not compile"}, [](json& root) {
    root["pre_tokenizer"] = {{"type", "Sequence"},
                             {"pretokenizers",
                              {{{"type", "Split"}, {"behavior", "Isolated"}, {"pattern", {{"Regex", "[a"}}}},
                               {{"type", "ByteLevel"}, {"use_regex", false}}}}};
  });
  test::expect_error(ErrorCode::kFormat, {"expected a JSON object"}, [] { parse_tokenizer_json("[1]", "t"); });
  test::expect_error(ErrorCode::kNotFound, {"none.json"}, [] { load_tokenizer("none.json"); });
}

TEST(TokenizerJson, TruncatedAndMutatedFilesNeverCrash) {
  const std::string text = small_json().dump();
  for (size_t size = 0; size < text.size(); size += 97) {
    EXPECT_THROW(parse_tokenizer_json(text.substr(0, size), "cut"), Error);
  }
  Philox random(17);
  for (int round = 0; round < 200; ++round) {
    std::string mutated = text;
    for (int i = 0; i < 3; ++i)
      mutated[random.below(static_cast<uint32_t>(text.size()))] = static_cast<char>(random.below(256));
    try {
      const Tokenizer tokenizer = parse_tokenizer_json(mutated, "mutated");
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()), "");
    }
  }
  const std::string nested = std::string(200000, '[');
  EXPECT_THROW(parse_tokenizer_json(nested, "nested"), Error);
}

TEST(Gpt2Files, DamagedFilesAreErrors) {
  const json fixture = test::read_fixture("small_bpe.json");
  const std::string vocab = fixture.at("vocab").dump(), merges = test::joined_merges(fixture.at("merges"));
  const auto damaged = [](const std::vector<std::string>& parts, const std::string& vocab_json,
                          const std::string& merges_text) {
    test::expect_error(ErrorCode::kFormat, parts,
                       [&] { parse_gpt2(vocab_json, "vocab.json", merges_text, "merges.txt"); });
  };
  damaged({"vocab.json: the vocabulary has no token for the byte"}, R"({"b": 0, "<|endoftext|>": 1})",
          "#version: 0.2\n");
  damaged({"vocab.json", "not valid JSON"}, vocab.substr(0, vocab.size() / 2), merges);
  damaged({"vocab.json", "array"}, "[]", merges);
  damaged({"merges.txt", "merge 3 ", "one space"}, vocab, "#version: 0.2\ni n\nabc\n");
  damaged({"merges.txt", "lacks"}, vocab, "#version: 0.2\nQ Z\n");
  EXPECT_EQ(parse_gpt2(vocab, "v", "\r\n", "m").parts().merges.size(), 0u);
}

/// Rank lines of the small vocabulary without <|endoftext|>: what a tiktoken file of it would be.
std::string small_ranks() {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const Tokenizer tokenizer = test::small_tokenizer();
  std::string out;
  for (uint32_t id = 0; id + 1 < tokenizer.vocab_size(); ++id) {
    const std::string& token = tokenizer.token_bytes(id);
    for (size_t i = 0; i < token.size(); i += 3) {
      uint32_t bits = 0;
      for (size_t k = 0; k < 3; ++k)
        bits = bits << 8 | (i + k < token.size() ? static_cast<unsigned char>(token[i + k]) : 0);
      for (size_t k = 0; k < 4; ++k) out += i + k > token.size() ? '=' : kDigits[bits >> (18 - 6 * k) & 63];
    }
    out += " " + std::to_string(id) + "\n";
  }
  return out;
}

TEST(Tiktoken, MergesByRankOfTheConcatenation) {
  const Tokenizer ranks = parse_tiktoken(small_ranks(), "small.tiktoken", "gpt2"), merges = test::small_tokenizer();
  EXPECT_EQ(ranks.vocab_size(), 50257u);
  EXPECT_EQ(ranks.eot_id(), 50256u);
  // In a vocabulary that merges made, each id's rank is its merge's, so both ways agree wherever a token has one way to
  // be made.
  const std::string text = test::read_fixture("small_bpe.json").at("training");
  EXPECT_EQ(ranks.encode(text), merges.encode(text));
  EXPECT_EQ(ranks.decode(ranks.encode(text)), text);
}

TEST(Tiktoken, DamagedFilesAreErrors) {
  const std::string good = small_ranks();
  const auto damaged = [](const std::vector<std::string>& parts, const std::string& text) {
    test::expect_error(ErrorCode::kFormat, parts, [&] { parse_tiktoken(text, "x.tiktoken", "gpt2"); });
  };
  damaged({"x.tiktoken: line 700", "base64"}, good + "I!== 800\n");
  damaged({"line 700", "expected `base64 rank`"}, good + "IQ==\n");
  damaged({"line 700", "expected `base64 rank`"}, good + "IQ== -3\n");
  damaged({"line 700", "expected `base64 rank`"}, good + "IQ== 3x\n");
  damaged({"line 700", "rank 5"}, good + "IQ== 5\n");
  damaged({"id 4294967296"}, good + "IQ== 4294967296\n");
  damaged({"x.tiktoken: the vocabulary has no token for the byte"}, "IQ== 0\n");
  damaged({"x.tiktoken: the vocabulary has no token for the byte"}, "");
  test::expect_error(ErrorCode::kInvalidArgument, {"p50k.tiktoken: ", "\"p50k\""},
                     [&] { parse_tiktoken(good, "p50k.tiktoken", "p50k"); });
}

}  // namespace
}  // namespace fabula::text
