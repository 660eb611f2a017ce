#include "text/tokenizer.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "base/hash.hpp"
#include "base/mapped_file.hpp"
#include "base/philox.hpp"
#include "expect_error.hpp"
#include "text/fixture.hpp"

namespace fabula::text {
namespace {

using Ids = std::vector<uint32_t>;

TEST(Tokenizer, EncodesHardTextAsAnIndependentImplementation) {
  const Tokenizer tokenizer = test::small_tokenizer();
  const nlohmann::json cases = test::read_fixture("small_bpe.json").at("cases");
  ASSERT_GT(cases.size(), 100u);
  for (const nlohmann::json& text : cases) {
    const std::string bytes = test::from_hex(text.at("hex"));
    const Ids ids = tokenizer.encode(bytes);
    EXPECT_EQ(ids, text.at("ids").get<Ids>()) << text.at("hex");
    EXPECT_EQ(tokenizer.decode(ids), bytes);
  }
}

TEST(Tokenizer, RealVocabulariesEncodeAsAnIndependentImplementation) {
  FABULA_NEEDS_DATA(data);
  const std::filesystem::path folder = data / "tokenizers";
  std::map<std::string, Tokenizer> tokenizers;
  tokenizers.emplace("gpt2", import_gpt2(folder / "gpt2_vocab.json", folder / "gpt2_merges.txt"));
  tokenizers.emplace("qwen3", load_tokenizer(folder / "qwen3_tokenizer.json"));
  tokenizers.emplace("cl100k_base", load_tokenizer(folder / "cl100k_base.tiktoken"));
  tokenizers.emplace("o200k_base", load_tokenizer(folder / "o200k_base.tiktoken"));
  const std::map<std::string, std::pair<uint32_t, uint32_t>> sizes_and_ends = {{"gpt2", {50257, 50256}},
                                                                               {"qwen3", {151669, 151643}},
                                                                               {"cl100k_base", {100277, 100257}},
                                                                               {"o200k_base", {200019, 199999}}};
  const nlohmann::json fixture = test::read_fixture("real_vocabularies.json");
  for (const auto& [name, tokenizer] : tokenizers) {
    EXPECT_EQ(tokenizer.vocab_size(), sizes_and_ends.at(name).first) << name;
    EXPECT_EQ(tokenizer.eot_id(), sizes_and_ends.at(name).second) << name;
    const Tokenizer reread = parse_tokenizer_json(tokenizer_json(tokenizer), "reread");
    EXPECT_EQ(reread.fingerprint(), tokenizer.fingerprint()) << name;
    for (const nlohmann::json& text : fixture.at("cases")) {
      const std::string bytes = test::from_hex(text.at("hex"));
      const Ids ids = tokenizer.encode(bytes);
      EXPECT_EQ(ids, text.at(name).get<Ids>()) << name << " " << text.at("hex");
      EXPECT_EQ(reread.encode(bytes), ids) << name;
      EXPECT_EQ(tokenizer.decode(ids), bytes);
    }
  }
  const MappedFile valid(data / "tinystories" / "valid.txt");
  const Ids ids = tokenizers.at("gpt2").encode(valid.text());
  EXPECT_EQ(ids.size(), fixture.at("valid_txt_gpt2").at("tokens").get<size_t>());
  EXPECT_EQ(fmt::format("{:016x}", fnv1a(ids.data(), ids.size() * sizeof(uint32_t))),
            fixture.at("valid_txt_gpt2").at("fnv1a_of_u32").get<std::string>());
}

TEST(Tokenizer, AnyBytesRoundTrip) {
  const Tokenizer tokenizer = test::small_tokenizer();
  Philox random(11);
  for (int round = 0; round < 500; ++round) {
    std::string bytes(random.below(300), '\0');
    const uint32_t alphabet = round % 2 == 0 ? 256 : 128;
    for (char& byte : bytes) byte = static_cast<char>(random.below(alphabet));
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(bytes)), bytes);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(bytes, {.added_tokens = true})), bytes);
  }
}

TEST(Tokenizer, ShortAndLongPiecesMergeAlike) {
  // The list scan and the heap meet at 32 bytes; both must give what repeated merging of the lowest rank gives.
  const Tokenizer tokenizer = test::small_tokenizer();
  Philox random(5);
  for (int round = 0; round < 400; ++round) {
    std::string piece(20 + random.below(30), 'a');
    for (char& byte : piece) byte = "lowestnrihea"[random.below(12)];
    Ids expected;
    for (const char byte : piece) expected.push_back(*tokenizer.token_id(std::string_view(&byte, 1)));
    for (;;) {
      const Merge* best = nullptr;
      size_t at = 0;
      for (size_t i = 0; i + 1 < expected.size(); ++i) {
        for (const Merge& merge : tokenizer.parts().merges) {
          const bool fits = merge.left == expected[i] && merge.right == expected[i + 1];
          if (fits && (best == nullptr || merge.rank < best->rank)) best = &merge, at = i;
        }
      }
      if (best == nullptr) break;
      expected[at] = best->result;
      expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
    EXPECT_EQ(tokenizer.encode(piece), expected) << piece;
  }
}

TEST(Tokenizer, AddedTokensOnlyWhenAsked) {
  const Tokenizer tokenizer = test::small_tokenizer();
  const std::string text = "a<|endoftext|><|endoftext|>b <|endoftext";
  const uint32_t eot = tokenizer.eot_id();
  EXPECT_EQ(eot, tokenizer.vocab_size() - 1);
  const Ids plain = tokenizer.encode(text), special = tokenizer.encode(text, {.added_tokens = true});
  EXPECT_EQ(std::count(plain.begin(), plain.end(), eot), 0);
  ASSERT_GT(special.size(), 4u);
  EXPECT_EQ(Ids(special.begin() + 1, special.begin() + 3), (Ids{eot, eot}));
  EXPECT_EQ(std::count(special.begin(), special.end(), eot), 2);
  EXPECT_EQ(tokenizer.decode(special), text);
}

TEST(Tokenizer, LongestAddedTokenWins) {
  TokenizerParts parts = test::small_tokenizer().parts();
  const auto next = static_cast<uint32_t>(parts.tokens.size());
  parts.added = {{next, "<a>"}, {next + 1, "<a><b>"}};
  parts.tokens.emplace_back("<a>");
  parts.tokens.emplace_back("<a><b>");
  const Tokenizer tokenizer(std::move(parts));
  EXPECT_EQ(tokenizer.encode("<a><a><b>", {.added_tokens = true}), (Ids{next, next + 1}));
}

TEST(Tokenizer, AddedTokensOfOneByteAndRunsOfSpaces) {
  TokenizerParts parts = test::small_tokenizer().parts();
  const auto next = static_cast<uint32_t>(parts.tokens.size());
  for (const std::string content : {"  ", "   ", "\x01", "\x01\x02"}) {
    parts.added.push_back({static_cast<uint32_t>(parts.tokens.size()), content});
    parts.tokens.push_back(content);
  }
  const Tokenizer tokenizer(std::move(parts));
  const uint32_t a = tokenizer.encode("a")[0], space = tokenizer.encode(" ")[0];
  EXPECT_EQ(tokenizer.encode("     a", {.added_tokens = true}), (Ids{next + 1, next, a}));
  EXPECT_EQ(tokenizer.encode("    ", {.added_tokens = true}), (Ids{next + 1, space}));
  EXPECT_EQ(tokenizer.encode("\x01\x01\x02\x01", {.added_tokens = true}), (Ids{next + 2, next + 3, next + 2}));
}

TEST(Tokenizer, DocumentsEncodeAlikeOnAnyNumberOfThreads) {
  const Tokenizer tokenizer = test::small_tokenizer();
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) texts.push_back("newest wider story number " + std::to_string(i * i));
  const std::vector<std::string_view> documents(texts.begin(), texts.end());
  const std::vector<Ids> one = tokenizer.encode_documents(documents, 1),
                         four = tokenizer.encode_documents(documents, 4);
  EXPECT_EQ(one, four);
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(one[i], tokenizer.encode(texts[i]));
  EXPECT_TRUE(tokenizer.encode_documents({}, 3).empty());
}

TEST(Tokenizer, IdsBeyondTheVocabularyAreErrors) {
  const Tokenizer tokenizer = test::small_tokenizer();
  const uint32_t size = tokenizer.vocab_size();
  test::expect_error(ErrorCode::kInvalidArgument, {std::to_string(size), "beyond the vocabulary"}, [&] {
    tokenizer.decode(Ids{0, size});
  });
}

TEST(Tokenizer, PartsThatDoNotFitAreErrors) {
  const auto broken = [](const std::function<void(TokenizerParts&)>& damage) {
    TokenizerParts parts = test::small_tokenizer().parts();
    damage(parts);
    Tokenizer{std::move(parts)};
  };
  test::expect_error(ErrorCode::kFormat, {"0x21"},
                     [&] { broken([](TokenizerParts& parts) { parts.tokens[0] = ""; }); });
  test::expect_error(ErrorCode::kFormat, {"rank 3"},
                     [&] { broken([](TokenizerParts& parts) { parts.merges[3].result = 9; }); });
  test::expect_error(ErrorCode::kFormat, {"rank 5", "4000000000"},
                     [&] { broken([](TokenizerParts& parts) { parts.merges[5].left = 4000000000u; }); });
  test::expect_error(ErrorCode::kFormat, {"added token"},
                     [&] { broken([](TokenizerParts& parts) { parts.added[0].id = 3; }); });
  TokenizerParts endless = test::small_tokenizer().parts();
  endless.added.clear();
  endless.tokens.pop_back();
  const Tokenizer tokenizer(std::move(endless));
  EXPECT_FALSE(tokenizer.has_eot());
  test::expect_error(ErrorCode::kUnsupported, {"<|endoftext|>"}, [&] { tokenizer.eot_id(); });
}

TEST(StreamDecoder, HoldsBackIncompleteCharacters) {
  const Tokenizer tokenizer = test::small_tokenizer();
  const auto id = [&](char byte) { return *tokenizer.token_id(std::string_view(&byte, 1)); };
  StreamDecoder decoder(tokenizer, {});
  EXPECT_EQ(decoder.push(id('a')), "a");
  EXPECT_EQ(decoder.push(id('\xf0')), "");
  EXPECT_EQ(decoder.push(id('\x9f')), "");
  EXPECT_EQ(decoder.push(id('\x98')), "");
  EXPECT_EQ(decoder.push(id('\x80')), "\U0001f600");
  EXPECT_EQ(decoder.push(id('\xe2')), "");
  EXPECT_EQ(decoder.push(id('b')),
            "\xe2"
            "b");  // can no longer become a character: passes as it is
  EXPECT_EQ(decoder.push(id('\x80')), "\x80");
  EXPECT_EQ(decoder.push(id('\xc3')), "");
  EXPECT_EQ(decoder.finish(), "\xc3");
  EXPECT_EQ(decoder.finish(), "");
}

TEST(StreamDecoder, LosesNothing) {
  const Tokenizer tokenizer = test::small_tokenizer();
  const nlohmann::json cases = test::read_fixture("small_bpe.json").at("cases");
  ASSERT_GT(cases.size(), 100u);
  for (const nlohmann::json& text : cases) {
    const std::string bytes = test::from_hex(text.at("hex"));
    StreamDecoder decoder(tokenizer, {});
    std::string out;
    for (const uint32_t id : tokenizer.encode(bytes)) out += decoder.push(id);
    EXPECT_EQ(out + decoder.finish(), bytes);
  }
}

}  // namespace
}  // namespace fabula::text
