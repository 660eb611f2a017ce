#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "expect_error.hpp"
#include "maps/balanced_clusters.hpp"
#include "maps/build_token_map.hpp"
#include "maps/fixture.hpp"
#include "maps/token_counts.hpp"

namespace fabula::maps {
namespace {

using test::groups_of;
using test::token_of;
using Counts = std::vector<std::uint64_t>;

const std::vector<std::string> kClasses = {"abcdefgh", "ABCDEFGH", "12345678"};

class ClusteredText : public testing::Test {
 protected:
  test::TempDir folder_;
  text::TokenFile file_ = test::byte_tokens(folder_, test::alternating_text(kClasses, 6000));
};

// Letters of a class have the same neighbours and never each other.
TEST_F(ClusteredText, ClassesAreTold) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const TokenMap map = build_token_map({.kind = GroupMap::kClustered, .groups = 3, .slots = 86, .seed = seed}, file_);
    check_token_map(map, 257, "map");
    EXPECT_LE(test::largest_group(map), 86u);
    std::set<std::size_t> all;
    for (const std::string& letters : kClasses) {
      EXPECT_EQ(groups_of(map, letters).size(), 1u) << letters << ", seed " << seed;
      all.merge(groups_of(map, letters));
    }
    EXPECT_EQ(all.size(), 3u) << "seed " << seed;
  }
}

TEST_F(ClusteredText, SlotsAreInFallingFrequencyAndUnseenTokensLast) {
  const Counts counts = token_counts(file_);
  const TokenMap map = build_token_map({.kind = GroupMap::kClustered, .groups = 20, .slots = 13}, file_);
  check_token_map(map, 257, "map");
  for (const auto& group : map.groups)
    for (std::size_t s = 1; s < group.size(); ++s) EXPECT_GE(counts[group[s - 1]], counts[group[s]]);
  // 25 seen tokens among 20 groups: at most ceil(1.25 * 25 / 20) = 2 in one.
  for (const auto& group : map.groups)
    EXPECT_LE(std::count_if(group.begin(), group.end(), [&](std::uint32_t t) { return counts[t] > 0; }), 2);
}

TEST_F(ClusteredText, TheShortlistShapesCentresAndIsInNoGroup) {
  const Counts counts = token_counts(file_);
  const TokenMap map =
      build_token_map({.kind = GroupMap::kClustered, .shortlist = 7, .groups = 3, .slots = 100}, file_);
  check_token_map(map, 257, "map");
  const std::vector<std::uint32_t> order = tokens_by_frequency(counts);
  EXPECT_EQ(map.shortlist, std::vector<std::uint32_t>(order.begin(), order.begin() + 7));
  for (const std::string& letters : kClasses) {
    std::set<std::size_t> groups = groups_of(map, letters);
    groups.erase(map.groups.size());  // those of the shortlist
    EXPECT_EQ(groups.size(), 1u) << letters;
  }
}

TEST_F(ClusteredText, TheSeedDecidesAndThreadsDoNot) {
  const auto build = [&](std::uint64_t seed, std::size_t threads) {
    return build_token_map({.kind = GroupMap::kClustered, .groups = 40, .slots = 8, .seed = seed, .threads = threads},
                           file_);
  };
  const TokenMap map = build(1, 1);
  EXPECT_EQ(map, build(1, 4));
  EXPECT_EQ(map, build(1, 0));
  EXPECT_NE(map, build(2, 1));
}

TEST_F(ClusteredText, EverySizeGivesAWholeMap) {
  for (const std::int64_t shortlist : {0, 1, 25, 200, 256}) {
    for (const std::int64_t slots : {1, 2, 7, 300}) {
      for (const bool many : {false, true}) {
        MapOptions options{.kind = GroupMap::kClustered, .shortlist = shortlist};
        options.slots = std::min<std::int64_t>(slots, 257 - shortlist);
        if (many) options.groups = 257 - shortlist;
        const TokenMap map = build_token_map(options, file_);
        EXPECT_NO_THROW(check_token_map(map, 257, "map")) << shortlist << ", " << slots;
        EXPECT_LE(static_cast<std::int64_t>(test::largest_group(map)), options.slots);
        EXPECT_EQ(static_cast<std::int64_t>(map.groups.size()), resolve_map_options(options, 257).groups);
      }
    }
  }
}

TEST(ClusteredMap, ShortTexts) {
  const test::TempDir folder;
  for (const std::string text : {"a", "ab", "aaaa"}) {
    const text::TokenFile file = test::byte_tokens(folder, text);
    EXPECT_NO_THROW(check_token_map(build_token_map({.kind = GroupMap::kClustered}, file), 257, "map")) << text;
  }
}

// Two directions, lengths that differ, and tokens 8 and 9 that are not in the text.
std::vector<float> two_directions() {
  std::vector<float> table;
  for (int token = 0; token < 10; ++token) {
    const float length = 1.0f + static_cast<float>(token), off = 0.01f * static_cast<float>(token);
    const bool first = token % 2 == 0;
    table.insert(table.end(), {first ? length : off, first ? off : length, off});
  }
  return table;
}

TEST(ClusteredMap, FromEmbeddings) {
  const Counts counts = {9, 8, 7, 6, 5, 4, 3, 2, 0, 0};
  const MapOptions options{.kind = GroupMap::kClustered, .groups = 2, .slots = 5};
  const TokenVectors vectors = embedding_vectors(two_directions(), 3, counts, "model");
  EXPECT_EQ(vectors.tokens, (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  for (std::size_t i = 0; i < 8; ++i)
    EXPECT_NEAR(std::hypot(vectors.rows[3 * i], vectors.rows[3 * i + 1], vectors.rows[3 * i + 2]), 1, 1e-6);
  TokenMap map = clustered_map(options, counts, vectors);
  check_token_map(map, 10, "map");
  std::sort(map.groups.begin(), map.groups.end());
  for (std::size_t g = 0; g < 2; ++g)
    for (std::size_t s = 0; s < 4; ++s) EXPECT_EQ(map.groups[g][s], 2 * s + g);
  // Nothing known of any token: all are unseen.
  const Counts none(10);
  map = clustered_map(options, none, embedding_vectors(two_directions(), 3, none, "model"));
  check_token_map(map, 10, "map");
  EXPECT_LE(test::largest_group(map), 5u);
}

TEST(ClusteredMap, AFullGroupSendsTheRarestElsewhere) {
  const std::vector<float> table = {1, 0, 1, 0.1f, 1, 0.2f, 1, 0.05f, 0, 1};  // four alike, one apart
  const Counts counts = {1, 2, 3, 4, 5};
  const TokenVectors vectors = embedding_vectors(table, 2, counts, "model");
  const std::vector<float> centres = {1, 0, 0, 1};
  const auto all = [](std::uint32_t) { return true; };
  EXPECT_EQ(assign_balanced(vectors, centres, 3, all), (std::vector<std::vector<std::uint32_t>>{{3, 2, 1}, {4, 0}}));
  EXPECT_EQ(assign_balanced(vectors, centres, 5, all), (std::vector<std::vector<std::uint32_t>>{{3, 2, 1, 0}, {4}}));
  test::expect_error(ErrorCode::kInternal, {"no room for token 0"}, [&] { assign_balanced(vectors, centres, 2, all); });
}

TEST(ClusteredMap, EmbeddingsThatAreNotFinite) {
  std::vector<float> table = two_directions();
  table[3 * 9] = std::numeric_limits<float>::quiet_NaN();  // of a token that is not in the text
  const Counts counts = {9, 8, 7, 6, 5, 4, 3, 2, 0, 0};
  EXPECT_NO_THROW(embedding_vectors(table, 3, counts, "model"));
  table[3 * 4 + 1] = std::numeric_limits<float>::infinity();
  test::expect_error(ErrorCode::kFormat, {"model", "token 4 is not finite"},
                     [&] { embedding_vectors(table, 3, counts, "model"); });
}

}  // namespace
}  // namespace fabula::maps
