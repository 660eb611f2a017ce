#include "eval/frequency_table.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "expect_error.hpp"

namespace fabula::eval {
namespace {

using Ranks = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

/// V tokens of which the first `seen` occur, the higher ids more often.
std::vector<std::uint64_t> rising_counts(std::size_t vocabulary, std::size_t seen) {
  std::vector<std::uint64_t> counts(vocabulary);
  std::iota(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(seen), 1u);
  return counts;
}

Ranks ranks_of(const FrequencyTable& table) {
  Ranks ranks;
  for (const FrequencyBand& band : table.bands()) ranks.emplace_back(band.first_rank, band.last_rank);
  return ranks;
}

TEST(FrequencyTable, BandsAreCutToTheTokensThereAre) {
  const auto ranks = [](std::size_t vocabulary, std::size_t seen) {
    return ranks_of(FrequencyTable(rising_counts(vocabulary, seen), static_cast<std::int64_t>(vocabulary)));
  };
  EXPECT_EQ(ranks(25000, 24000), (Ranks{{1, 100}, {101, 1000}, {1001, 5000}, {5001, 20000}, {20001, 24000}, {0, 0}}));
  EXPECT_EQ(ranks(1001, 1001), (Ranks{{1, 100}, {101, 1000}, {1001, 1001}}));
  EXPECT_EQ(ranks(100, 100), (Ranks{{1, 100}}));
  EXPECT_EQ(ranks(101, 100), (Ranks{{1, 100}, {0, 0}}));
  EXPECT_EQ(ranks(1, 1), (Ranks{{1, 1}}));
  EXPECT_EQ(ranks(7, 0), (Ranks{{0, 0}}));
  const FrequencyTable table(rising_counts(300, 250), 300);
  ASSERT_EQ(table.bands().size(), 3u);
  EXPECT_EQ(table.bands()[1].name(), "101-250");
  EXPECT_EQ(table.bands()[1].tokens, 150u);
  EXPECT_EQ(table.bands()[2].name(), "never seen");
  EXPECT_EQ(table.bands()[2].tokens, 50u);
}

TEST(FrequencyTable, ALabelCountsInTheBandOfItsRank) {
  FrequencyTable table(rising_counts(300, 250), 300);
  // Id 249 has rank 1, id 150 rank 100, id 149 rank 101, id 0 rank 250; 250 and above never occur.
  for (const std::uint32_t label : {249u, 150u}) table.add({.label = label, .loss = 1, .token_correct = true});
  for (const std::uint32_t label : {149u, 0u, 0u}) table.add({.label = label, .loss = 2, .group_correct = true});
  table.add({.label = 250, .loss = 4, .slot_correct = true});
  const auto& bands = table.bands();
  EXPECT_EQ(bands[0].sums.labels, 2);
  EXPECT_EQ(bands[0].sums.mean(&LabelSums::loss), 1);
  EXPECT_EQ(bands[0].sums.mean(&LabelSums::token_correct), 1);
  EXPECT_EQ(bands[1].sums.labels, 3);
  EXPECT_EQ(bands[1].sums.mean(&LabelSums::group_correct), 1);
  EXPECT_NEAR(bands[1].sums.perplexity(), std::exp(2), 1e-12);
  EXPECT_NEAR(bands[1].sums.mean(&LabelSums::probability), std::exp(-2), 1e-12);
  EXPECT_EQ(bands[2].sums.labels, 1);
  EXPECT_EQ(bands[2].sums.mean(&LabelSums::slot_correct), 1);
  EXPECT_EQ(table.total().labels, 6);
  EXPECT_EQ(table.total().loss, 2 * 1 + 3 * 2 + 4);
  EXPECT_TRUE(std::isnan(FrequencyTable(rising_counts(7, 7), 7).bands()[0].sums.mean(&LabelSums::loss)));
}

TEST(FrequencyTable, ReliabilityByHand) {
  FrequencyTable table(rising_counts(2, 2), 2);
  EXPECT_TRUE(std::isnan(table.expected_calibration_error()));
  for (const auto& [probability, correct] :
       std::vector<std::pair<double, bool>>{{0, false}, {0.3, true}, {0.35, false}, {0.9, true}, {1, false}})
    table.add({.label = 0, .loss = 1, .top_probability = probability, .token_correct = correct});
  std::vector<std::int64_t> labels;
  for (const ReliabilityBin& bin : table.bins()) labels.push_back(bin.labels);
  EXPECT_EQ(labels, (std::vector<std::int64_t>{1, 0, 0, 2, 0, 0, 0, 0, 0, 2}));
  EXPECT_NEAR(table.bins()[3].probability, 0.65, 1e-12);
  EXPECT_EQ(table.bins()[3].correct, 1);
  // |0 - 0| + |0.65 - 1| + |1.9 - 1| over five labels.
  EXPECT_NEAR(table.expected_calibration_error(), (0.35 + 0.9) / 5, 1e-12);
}

TEST(FrequencyTable, CountsOfAnotherVocabularyAreRefused) {
  const std::vector<std::uint64_t> counts(31);
  test::expect_error(ErrorCode::kInvalidArgument, {"31 tokens", "vocabulary of 32"},
                     [&] { FrequencyTable(counts, 32); });
  FrequencyTable table(counts, 31);
  test::expect_error(ErrorCode::kInvalidArgument, {"label 31", "31 tokens"}, [&] { table.add({.label = 31}); });
}

}  // namespace
}  // namespace fabula::eval
