#include "text/pre_tokenizer.hpp"

#include <gtest/gtest.h>

#include "base/philox.hpp"
#include "expect_error.hpp"
#include "text/fixture.hpp"

namespace fabula::text {
namespace {

std::vector<size_t> piece_lengths(const PreTokenizer& pre_tokenizer, std::string_view text) {
  std::vector<size_t> lengths;
  std::string whole;
  pre_tokenizer.split(text, [&](std::string_view piece) {
    lengths.push_back(piece.size());
    whole += piece;
  });
  EXPECT_EQ(whole, text);
  return lengths;
}

TEST(PreTokenizer, CutsHardTextAsAnIndependentImplementation) {
  const nlohmann::json fixture = test::read_fixture("small_bpe.json");
  for (const auto engine : {PreTokenizer::Engine::kFastest, PreTokenizer::Engine::kInterpreter}) {
    for (const std::string name : {"gpt2", "cl100k_base", "o200k_base"}) {
      const PreTokenizer pre_tokenizer({std::string(named_pattern(name))}, engine);
      for (const nlohmann::json& text : fixture.at("cases")) {
        EXPECT_EQ(piece_lengths(pre_tokenizer, test::from_hex(text.at("hex"))),
                  text.at("pieces").at(name).get<std::vector<size_t>>())
            << name << " " << text.at("hex");
      }
    }
  }
}

TEST(PreTokenizer, BothEnginesAgreeOnRandomBytes) {
  const std::string pattern(named_pattern("o200k_base"));
  const PreTokenizer fast({pattern}), plain({pattern}, PreTokenizer::Engine::kInterpreter);
  Philox random(3);
  for (int round = 0; round < 300; ++round) {
    std::string text(random.below(200), '\0');
    for (char& byte : text)
      byte = static_cast<char>(random.below(2) == 0 ? random.below(256) : " a'\xe2\x82\xacsZ1\n"[random.below(10)]);
    EXPECT_EQ(piece_lengths(fast, text), piece_lengths(plain, text));
  }
}

TEST(PreTokenizer, StagesRefineOneAnother) {
  const PreTokenizer digits_then_gpt2({"\\p{N}", std::string(named_pattern("gpt2"))});
  EXPECT_EQ(piece_lengths(digits_then_gpt2, "ab 12c  d"), (std::vector<size_t>{2, 1, 1, 1, 1, 1, 2}));
}

TEST(PreTokenizer, UnmatchedTextIsAPieceAndUnmatchedBytesAreOneEach) {
  EXPECT_EQ(piece_lengths(PreTokenizer({"x"}),
                          "abxx\xff\xfe"
                          "\xc3\xa9z"),
            (std::vector<size_t>{2, 1, 1, 1, 1, 3}));
  EXPECT_EQ(piece_lengths(PreTokenizer({"x*"}), "abx"), (std::vector<size_t>{2, 1}));  // an empty match is none
  EXPECT_EQ(piece_lengths(PreTokenizer({}), "a b"), (std::vector<size_t>{3}));
}

TEST(PreTokenizer, LongRunsTakeLinearTime) {
  // A million letters in one piece, a million spaces in two: a check of the whole text at each match would take hours.
  const std::string text = std::string(1000000, 'a') + std::string(1000000, ' ') + "b";
  for (const auto engine : {PreTokenizer::Engine::kFastest, PreTokenizer::Engine::kInterpreter}) {
    const PreTokenizer pre_tokenizer({std::string(named_pattern("gpt2"))}, engine);
    EXPECT_EQ(piece_lengths(pre_tokenizer, text), (std::vector<size_t>{1000000, 999999, 2}));
  }
}

TEST(PreTokenizer, BadPatternsAreErrors) {
  test::expect_error(ErrorCode::kFormat, {"(unclosed", "does not compile"}, [] { PreTokenizer({"(unclosed"}); });
  test::expect_error(ErrorCode::kFormat, {"70000 bytes"}, [] { PreTokenizer({std::string(70000, 'a')}); });
  test::expect_error(ErrorCode::kInvalidArgument, {"gpt5", "cl100k_base"}, [] { named_pattern("gpt5"); });
  const PreTokenizer explosive({"(a|aa)+[bc]"});
  test::expect_error(ErrorCode::kUnsupported, {"pattern 0 ((a|aa)+[bc])", "limit"},
                     [&] { explosive.split(std::string(80, 'a'), [](std::string_view) {}); });
}

TEST(PreTokenizer, PatternsThatCannotCutAreRefusedWhenTheyAreRead) {
  const auto refused = [](const std::string& pattern, const std::vector<std::string>& parts) {
    std::vector<std::string> all = parts;
    all.push_back(pattern);
    test::expect_error(ErrorCode::kUnsupported, all, [&] { PreTokenizer({pattern}); });
  };
  refused(R"((?(DEFINE)(b\K))(?=(?1)))", {"\\K at byte 12", "or before"});
  refused(R"(a\Kb)", {"\\K at byte 1"});
  refused("(*NO_JIT)a+", {"machine code"});
  EXPECT_EQ(piece_lengths(PreTokenizer({R"(\\K)"}), R"(a\Kb)"), (std::vector<size_t>{1, 2, 1}));  // a backslash, a K
  EXPECT_EQ(piece_lengths(PreTokenizer({R"(\Q\K\s[\E)"}), R"(a\K\s[b)"), (std::vector<size_t>{1, 5, 1}));
}

TEST(PreTokenizer, AMatchHasABoundOnMemory) {
  // The interpreter keeps a frame for each of the group's repetitions: a gigabyte for these.
  const std::string text(6000000, 'a');
  const PreTokenizer pre_tokenizer({"(?:(a)|(b))+c"}, PreTokenizer::Engine::kInterpreter);
  test::expect_error(ErrorCode::kUnsupported, {"pattern 0", "heap limit"},
                     [&] { pre_tokenizer.split(text, [](std::string_view) {}); });
}

}  // namespace
}  // namespace fabula::text
