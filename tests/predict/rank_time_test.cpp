// What several ranks would take: nothing more than one alone, and never less than the slowest part of the way.
#include "predict/rank_time.hpp"

#include <gtest/gtest.h>

namespace fabula::predict {
namespace {

constexpr GradientBytes kBytes{.early = 60e6, .late = 40e6};

GradientWay way() {
  return {.copy_out = 10e9, .copy_back = 10e9, .host = 20e9, .network = 0, .sum = 10e9, .message = 0};
}

TEST(RankTime, OneRankWaitsForNothing) {
  const RankPrediction one = predict_ranks(0.1, 0.05, kBytes, {.count = 1}, way());
  EXPECT_EQ(one.exposed, 0);
  EXPECT_DOUBLE_EQ(one.efficiency(), 1);
}

TEST(RankTime, PhasesFollowFromTheBytes) {
  const RankPrediction two = predict_ranks(0.1, 0.05, kBytes, {.count = 2}, way());
  EXPECT_DOUBLE_EQ(two.copy_out, 0.01);
  EXPECT_DOUBLE_EQ(two.wire, 0.01);  // 100 MB from each of two ranks over 20 GB/s that they share
  EXPECT_DOUBLE_EQ(two.sum, 0.01);   // half of it from each, over 10 GB/s that they share
  EXPECT_GE(two.exposed, 0.004);     // the late part cannot hide
  EXPECT_LT(two.exposed, 0.01);
}

TEST(RankTime, ABackwardPassHidesWhatIsFinalEarly) {
  const double long_pass = predict_ranks(0.1, 1, kBytes, {.count = 4}, way()).exposed,
               none = predict_ranks(0.1, 0, kBytes, {.count = 4}, way()).exposed;
  EXPECT_LT(long_pass, none);
  EXPECT_NEAR(none - long_pass, 0.6 * 4 * 1.5 * 100e6 / 20e9, 1e-9);  // the wire is the slowest
}

TEST(RankTime, ANetworkIsSharedByTheRanksOfAHost) {
  GradientWay slow = way();
  slow.network = 1.25e9;
  const Ranks hosts{.count = 16, .per_host = 8}, halved{.count = 16, .per_host = 8, .wire_share = 0.5};
  const double far = 2 * 100e6 * 15 / 16 * 8 / 15;  // bytes of a rank that leave its host
  EXPECT_NEAR(predict_ranks(0.1, 0, kBytes, hosts, slow).wire, 8 * far / 1.25e9, 1e-9);
  EXPECT_NEAR(predict_ranks(0.1, 0, kBytes, halved, slow).wire, 4 * far / 1.25e9, 1e-9);
}

TEST(RankTime, ARowANumberOfRanks) {
  const std::vector<Ranks> rows{{.count = 1}, {.count = 2}, {.count = 16}};
  GradientWay slow = way();
  slow.network = 1e9;
  const Table table = rank_table(0.1, 0.05, 1000, kBytes, rows, slow);
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(table.rows[0][3], "10000");
  EXPECT_EQ(table.rows[2][1], "2");
  EXPECT_LT(std::stod(table.rows[2][4]), std::stod(table.rows[1][4]));
}

}  // namespace
}  // namespace fabula::predict
