#include <gtest/gtest.h>

#include <numeric>

#include "expect_error.hpp"
#include "maps/build_token_map.hpp"
#include "maps/fixture.hpp"
#include "maps/token_counts.hpp"

namespace fabula::maps {
namespace {

using test::expect_error;
using Counts = std::vector<std::uint64_t>;

// As words of a text: count ~ 1 / rank, the ids in no order.
Counts zipf_counts(std::size_t vocabulary) {
  Counts counts(vocabulary);
  for (std::size_t i = 0; i < vocabulary; ++i) counts[i * 7919 % vocabulary] = 1'000'000 / (i + 1);
  return counts;
}

/// A map without its shares.
TokenMap lists(const TokenMap& map) {
  return {map.shortlist, map.groups};
}

std::uint64_t mass(const std::vector<std::uint32_t>& tokens, const Counts& counts) {
  return std::accumulate(tokens.begin(), tokens.end(), std::uint64_t{0},
                         [&](std::uint64_t sum, std::uint32_t token) { return sum + counts[token]; });
}

TEST(TokenCounts, OfAFile) {
  const test::TempDir folder;
  const text::TokenFile file = test::byte_tokens(folder, "banana");
  const Counts counts = token_counts(file);
  ASSERT_EQ(counts.size(), 257u);
  EXPECT_EQ(counts[test::token_of('a')], 3u);
  EXPECT_EQ(counts[test::token_of('n')], 2u);
  EXPECT_EQ(counts[test::token_of('b')], 1u);
  EXPECT_EQ(counts[file.eot_id()], 1u);
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}), file.size());
  const std::vector<std::uint32_t> order = tokens_by_frequency(counts);
  EXPECT_EQ(order[0], test::token_of('a'));
  EXPECT_EQ(order[1], test::token_of('n'));
  EXPECT_EQ(order[2], test::token_of('b'));  // as frequent as the one that ends the document, with a lower id
  EXPECT_EQ(order[3], file.eot_id());
}

TEST(TokenMapKinds, IdRanges) {
  const Counts counts = {1, 9, 1, 1, 8, 1, 1, 1, 1, 9};
  const TokenMap all = build_token_map({}, counts);
  EXPECT_EQ(lists(all), (TokenMap{{}, {{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}}}));
  const TokenMap beyond = build_token_map({.shortlist = 3, .slots = 5}, counts);
  EXPECT_EQ(lists(beyond), (TokenMap{{1, 9, 4}, {{0, 2, 3, 5, 6}, {7, 8}}}));
  EXPECT_DOUBLE_EQ(shortlist_mass(beyond, counts), 26.0 / 33);
  EXPECT_EQ(shortlist_mass(beyond, Counts(10)), 0);
}

TEST(TokenMapKinds, FrequencyGivesEqualMasses) {
  const Counts counts = zipf_counts(5000);
  for (const auto& [groups, slots] : {std::pair<std::int64_t, std::int64_t>{0, 0}, {71, 0}, {200, 40}, {0, 700}}) {
    const MapOptions options{.kind = GroupMap::kFrequency, .shortlist = 100, .groups = groups, .slots = slots};
    const MapOptions resolved = resolve_map_options(options, 5000);
    const TokenMap map = build_token_map(options, counts);
    check_token_map(map, 5000, "map");
    EXPECT_EQ(static_cast<std::int64_t>(map.groups.size()), resolved.groups);
    EXPECT_LE(static_cast<std::int64_t>(test::largest_group(map)), resolved.slots);
    double total = 0;
    for (const auto& group : map.groups) total += static_cast<double>(mass(group, counts));
    for (std::size_t g = 0; g < map.groups.size(); ++g) {
      const auto& group = map.groups[g];
      EXPECT_NEAR(static_cast<double>(mass(group, counts)) * static_cast<double>(map.groups.size()) / total, 1, 0.35)
          << "group " << g << " of " << map.groups.size();
      for (std::size_t s = 1; s < group.size(); ++s) EXPECT_GE(counts[group[s - 1]], counts[group[s]]);
    }
  }
}

// One token that outweighs all others has company only of tokens that are not in the text.
TEST(TokenMapKinds, FrequencyWithOneHeavyToken) {
  Counts counts(12);
  counts[5] = 1000;
  for (const std::size_t token : {0u, 1u, 2u, 3u}) counts[token] = 10;
  const TokenMap map = build_token_map({.kind = GroupMap::kFrequency, .groups = 3, .slots = 4}, counts);
  check_token_map(map, 12, "map");
  for (const auto& group : map.groups) EXPECT_EQ(group.size(), 4u);
  EXPECT_EQ(mass(map.groups[test::group_of(map, 5)], counts), 1000u);
  EXPECT_EQ(mass(map.groups[test::group_of(map, 0)], counts), 20u);
}

TEST(TokenMapKinds, RandomFollowsTheSeed) {
  const Counts counts = zipf_counts(1000);
  const auto build = [&](std::uint64_t seed) {
    return build_token_map({.kind = GroupMap::kRandom, .shortlist = 10, .slots = 32, .seed = seed}, counts);
  };
  const TokenMap map = build(1);
  check_token_map(map, 1000, "map");
  EXPECT_EQ(map.groups.size(), 31u);
  EXPECT_EQ(test::largest_group(map), 32u);
  EXPECT_EQ(map, build(1));
  EXPECT_NE(map, build(2));
  EXPECT_EQ(map.shortlist, build(2).shortlist);
  EXPECT_FALSE(std::is_sorted(map.groups[0].begin(), map.groups[0].end()));
  // More groups than the size asks for are of even size.
  const TokenMap many = build_token_map({.kind = GroupMap::kRandom, .groups = 300, .slots = 32}, counts);
  check_token_map(many, 1000, "map");
  EXPECT_EQ(many.groups.size(), 300u);
  EXPECT_EQ(test::largest_group(many), 4u);
}

TEST(TokenMapKinds, SharesAreWhatTheTextGivesToEachGroup) {
  const TokenMap map = build_token_map({.shortlist = 1, .slots = 2}, Counts{1, 9, 2, 4, 0});
  EXPECT_EQ(map.shortlist, (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(map.shares, (std::vector<double>{3.0 / 16, 4.0 / 16}));
  EXPECT_EQ(build_token_map({.slots = 3}, Counts(5)).shares, (std::vector<double>{0, 0})) << "of an empty text";
}

TEST(TokenMapKinds, GroupsByMassAreSmallWhereTokensAreFrequent) {
  const Counts counts = zipf_counts(5000);
  const MapOptions options{.kind = GroupMap::kRandom, .shortlist = 50, .groups = 40, .sizes = GroupSizes::kMass};
  const TokenMap map = build_token_map(options, counts);
  check_token_map(map, 5000, "map");
  const std::vector<SizeBand> bands = mass_bands(50, 5000, 40);
  auto group = map.groups.begin();
  std::uint64_t rarest_before = counts[map.shortlist.back()];
  for (const SizeBand& band : bands) {
    std::uint64_t rarest = rarest_before, most = 0;
    for (std::int64_t g = 0; g < band.groups; ++g, ++group) {
      EXPECT_LE(std::int64_t(group->size()), band.slots);
      for (const std::uint32_t token : *group) {
        rarest = std::min(rarest, counts[token]);
        most = std::max(most, counts[token]);
      }
    }
    EXPECT_LE(most, rarest_before) << "a token of another band";
    rarest_before = rarest;
  }
  EXPECT_EQ(resolve_map_options(options, 5000).slots, bands.back().slots);
  EXPECT_EQ(resolve_map_options({.kind = GroupMap::kRandom, .sizes = GroupSizes::kMass}, 5000).groups, 36);
  const auto refuse = [&](const MapOptions& bad, const std::vector<std::string>& parts) {
    expect_error(ErrorCode::kInvalidArgument, parts, [&] { build_token_map(bad, counts); });
  };
  refuse({.sizes = GroupSizes::kMass}, {"group_sizes is mass", "id_ranges", "clustered or random"});
  refuse({.kind = GroupMap::kRandom, .groups = 5001, .sizes = GroupSizes::kMass}, {"groups is 5001", "1 to 5000"});
  refuse({.kind = GroupMap::kRandom, .slots = 7, .sizes = GroupSizes::kMass}, {"group_size is 7", "follows"});
}

TEST(TokenMapKinds, SmallestSizes) {
  const Counts counts = {3, 5, 4};
  for (const GroupMap kind : {GroupMap::kIdRanges, GroupMap::kFrequency, GroupMap::kRandom}) {
    EXPECT_EQ(lists(build_token_map({.kind = kind, .shortlist = 2}, counts)), (TokenMap{{1, 2}, {{0}}}));
    const TokenMap singles = build_token_map({.kind = kind, .slots = 1}, counts);
    check_token_map(singles, 3, "map");
    EXPECT_EQ(singles.groups.size(), 3u);
    const TokenMap whole = build_token_map({.kind = kind, .slots = 3}, counts);
    check_token_map(whole, 3, "map");
    EXPECT_EQ(whole.groups.size(), 1u);
  }
  EXPECT_EQ(lists(build_token_map({}, Counts{7})), (TokenMap{{}, {{0}}}));
}

TEST(TokenMapKinds, SizesThatCannotBe) {
  const Counts counts(300);
  const auto refuse = [&](const MapOptions& options, const std::vector<std::string>& parts) {
    expect_error(ErrorCode::kInvalidArgument, parts, [&] { build_token_map(options, counts); });
  };
  refuse({.shortlist = 300}, {"shortlist is 300", "300 tokens", "choose 0 to 299"});
  refuse({.shortlist = -1}, {"shortlist is -1", "0 to 299"});
  refuse({.slots = 301}, {"group_size is 301", "choose 1 to 300"});
  refuse({.shortlist = 100, .slots = 201}, {"group_size is 201", "shortlist 100", "choose 1 to 200"});
  refuse({.slots = -4}, {"group_size is -4", "choose 1 to 300"});
  refuse({.groups = 9, .slots = 30}, {"groups is 9", "300 tokens in groups of up to 30 need 10"});
  refuse({.groups = 11, .slots = 30}, {"groups is 11", "need 10"});
  refuse({.kind = GroupMap::kRandom, .groups = 301}, {"groups is 301", "to 300"});
  refuse({.kind = GroupMap::kFrequency, .groups = -1}, {"groups is -1"});
  refuse({.kind = GroupMap::kFile}, {"kind file"});
}

TEST(TokenMapKinds, FrequencyClusters) {
  const Counts counts = {1, 5, 2, 5, 0, 3};
  const std::int64_t cutoffs[] = {2, 3};
  EXPECT_EQ(lists(frequency_clusters(counts, cutoffs)), (TokenMap{{1, 3}, {{5}, {2, 0, 4}}}));
  const std::int64_t one[] = {5};
  EXPECT_EQ(lists(frequency_clusters(counts, one)), (TokenMap{{1, 3, 5, 2, 0}, {{4}}}));
  const auto refuse = [&](const std::vector<std::int64_t>& bad, const std::vector<std::string>& parts) {
    expect_error(ErrorCode::kInvalidArgument, parts, [&] { frequency_clusters(counts, bad); });
  };
  refuse({6}, {"cutoffs has 6", "1 to 5"});
  refuse({0, 2}, {"cutoffs has 0"});
  refuse({3, 3}, {"cutoffs has 3 after 3"});
  refuse({}, {"cutoffs is empty"});
}

}  // namespace
}  // namespace fabula::maps
