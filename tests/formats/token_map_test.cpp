#include "formats/token_map.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "base/file_io.hpp"
#include "expect_error.hpp"
#include "formats/mutate.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;
using test::TempDir;

TokenMap some_map() {
  return {{3, 0}, {{5, 1}, {2}, {6, 4, 7}}};  // 8 tokens
}

TEST(TokenMap, WhatIsWrittenReadsBack) {
  TempDir dir;
  write_token_map(dir / kTokenMapFile, some_map(), 8);
  EXPECT_EQ(read_token_map(dir / kTokenMapFile, 8), some_map());
  TokenMap shared = some_map();
  shared.shares = {0.1, 0, 1.0 / 3};
  write_token_map(dir / kTokenMapFile, shared, 8);
  EXPECT_EQ(read_token_map(dir / kTokenMapFile, 8), shared);
  const TokenMap plain{{}, {{0}}};
  write_token_map(dir / kTokenMapFile, plain, 1);
  EXPECT_EQ(read_token_map(dir / kTokenMapFile, 1), plain);
  const std::string text = token_map_json(some_map(), 8);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 7) << "one group a line:\n" << text;
}

TEST(TokenMap, ItsStepIsKeptAndNoPartOfItsMeaning) {
  TokenMap map = some_map();
  EXPECT_EQ(token_map_json(map, 8).find("step"), std::string::npos);
  map.step = 300;
  const std::string text = token_map_json(map, 8);
  EXPECT_EQ(parse_token_map(text, 8, "m.json").step, 300);
  EXPECT_EQ(map, some_map());
  for (const char* wrong : {"-1", "1.5", "null", "\"300\"", "1e300"}) {
    std::string other = text;
    other.replace(other.find("300"), 3, wrong);
    expect_error(ErrorCode::kFormat, {"m.json", "\"step\" must be a count"},
                 [&] { parse_token_map(other, 8, "m.json"); });
  }
}

TEST(TokenMap, EveryTokenHasOnePlace) {
  const auto expect_bad = [](const TokenMap& map, const std::vector<std::string>& parts) {
    expect_error(ErrorCode::kFormat, parts, [&] { check_token_map(map, 8, "m.json"); });
  };
  EXPECT_NO_THROW(check_token_map(some_map(), 8, "m.json"));
  TokenMap map = some_map();
  map.groups[2][1] = 3;
  expect_bad(map, {"m.json", "token 3 is in shortlist and again in groups[2]"});
  map.groups[2][1] = 2;
  expect_bad(map, {"token 2 is in groups[1] and again in groups[2]"});
  map.groups[2][1] = 7;
  expect_bad(map, {"token 7 is twice in groups[2]"});
  map.groups[2][1] = 8;
  expect_bad(map, {"token 8 in groups[2]", "0 to 7"});
  map.groups[2] = {};
  expect_bad(map, {"groups[2] is empty"});
  map.groups.pop_back();
  expect_bad(map, {"3 of the 8 tokens are in no group: 4, 6, 7"});
  expect_bad({{}, {{0}}}, {"7 of the 8 tokens are in no group: 1, 2, 3, 4, 5, .."});
  expect_bad({{0, 1, 2, 3, 4, 5, 6, 7}, {}}, {"all 8 tokens are in the shortlist"});
}

TEST(TokenMap, SharesArePartsOfOneOfEachGroup) {
  const auto parse = [](const std::string& shares) {
    return [=] {
      parse_token_map(R"({"vocab_size": 2, "shortlist": [], "groups": [[0], [1]], "shares": )" + shares + "}", 2, "m");
    };
  };
  EXPECT_NO_THROW(parse("[0.5, 0]")());
  expect_error(ErrorCode::kFormat, {"m", "1 shares of 2 groups"}, parse("[0.5]"));
  expect_error(ErrorCode::kFormat, {"\"shares\"[1]", "no part of 1"}, parse("[0.5, 1.5]"));
  expect_error(ErrorCode::kFormat, {"\"shares\"[0]", "no part of 1"}, parse("[\"a\", 0]"));
  expect_error(ErrorCode::kFormat, {"\"shares\" must be a list"}, parse("3"));
}

TEST(MassBands, HoldGroupsOfEqualMassByZipfsLaw) {
  for (const auto& [shortlist, vocabulary, groups] :
       {std::array<std::int64_t, 3>{330, 50257, 110}, {0, 50257, 113}, {0, 300, 9}, {1024, 50257, 220}}) {
    const std::vector<SizeBand> bands = mass_bands(shortlist, vocabulary, groups);
    ASSERT_EQ(bands.size(), 3u);
    std::int64_t rank = shortlist, all = 0;
    for (const SizeBand& band : bands) {
      double mass = 0;
      for (std::int64_t r = rank; r < rank + band.tokens; ++r) mass += 1 / (double(r) + 3.2);
      const double whole = std::log((double(vocabulary) + 2.7) / (double(shortlist) + 2.7));
      EXPECT_NEAR(mass / double(band.groups), whole / double(groups), 0.02 * whole / double(groups));
      EXPECT_LE(double(band.slots), std::ceil(1.25 * double(band.tokens) / double(band.groups)));
      EXPECT_GE(band.slots * band.groups, band.tokens);
      rank += band.tokens;
      all += band.groups;
    }
    EXPECT_EQ(rank, vocabulary);
    EXPECT_EQ(all, groups);
  }
}

TEST(MassBands, HaveNoEmptyGroup) {
  for (std::int64_t vocabulary = 1; vocabulary < 40; ++vocabulary) {
    for (std::int64_t shortlist = 0; shortlist < vocabulary; ++shortlist) {
      for (std::int64_t groups = 1; groups <= vocabulary - shortlist; ++groups) {
        std::int64_t tokens = 0, all = 0;
        for (const SizeBand& band : mass_bands(shortlist, vocabulary, groups)) {
          EXPECT_GE(band.tokens, band.groups);
          EXPECT_GE(band.slots * band.groups, band.tokens);
          tokens += band.tokens;
          all += band.groups;
        }
        ASSERT_EQ(tokens, vocabulary - shortlist);
        ASSERT_EQ(all, groups);
      }
    }
  }
}

TEST(TokenMap, DamageIsNamed) {
  const std::string good = token_map_json(some_map(), 8);
  const auto expect_bad = [&](const std::string& from, const std::string& to, const std::vector<std::string>& parts,
                              ErrorCode code = ErrorCode::kFormat) {
    std::string text = good;
    ASSERT_NE(text.find(from), std::string::npos);
    text.replace(text.find(from), from.size(), to);
    expect_error(code, parts, [&] { parse_token_map(text, 8, "m.json"); });
  };
  expect_bad("{", "", {"m.json", "not valid JSON"});
  expect_bad("[5, 1]", "[5, 1.5]", {"\"groups[0]\"[1] is 1.5", "integer from 0 to 7"});
  expect_bad("[5, 1]", "[5, -1]", {"\"groups[0]\"[1] is -1"});
  expect_bad("[5, 1]", "[5, 18446744073709551615]", {"\"groups[0]\"[1]"});
  expect_bad("[5, 1]", "[5, [1]]", {"\"groups[0]\"[1] is no number"});
  expect_bad("[5, 1]", "5", {"\"groups[0]\" must be a list"});
  expect_bad("[5, 1]", "[]", {"groups[0] is empty"});
  expect_bad("\"shortlist\"", "\"short\"", {"\"shortlist\" is missing"});
  expect_bad("\"vocab_size\": 8", "\"vocab_size\": \"8\"", {"\"vocab_size\" must be a count"});
  expect_bad("\"vocab_size\": 8", "\"vocab_size\": 9", {"vocabulary of 9 tokens, this one has 8"},
             ErrorCode::kInvalidArgument);
  expect_error(ErrorCode::kFormat, {"expected a JSON object"}, [] { parse_token_map("[]", 8, "m.json"); });
}

TEST(TokenMap, AMapThatIsNotWholeIsNotWritten) {
  TempDir dir;
  write_token_map(dir / "m.json", some_map(), 8);
  const std::string before = read_file(dir / "m.json");
  expect_error(ErrorCode::kFormat, {"in no group"}, [&] { write_token_map(dir / "m.json", some_map(), 9); });
  EXPECT_EQ(read_file(dir / "m.json"), before);
}

TEST(TokenMap, MutatedTextsNeverCrash) {
  const std::string good = token_map_json(some_map(), 8);
  std::mt19937 random(11);
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::string text = test::mutate(good, random);
    TokenMap map;
    if (!test::succeeds_or_throws_error([&] { map = parse_token_map(text, 8, "m"); })) continue;
    EXPECT_NO_THROW(check_token_map(map, 8, "m")) << text;
    ++accepted;
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 3000);
}

}  // namespace
}  // namespace fabula
