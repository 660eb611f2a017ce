#include "infer/inspection.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "expect_error.hpp"

namespace fabula::infer {
namespace {

// Tokens 0 and 5 by themselves, {1, 3, 7} and {2, 4, 6} in groups.
const TokenMap kMap{.shortlist = {5, 0}, .groups = {{1, 3, 7}, {2, 4, 6}}};
const std::vector<double> kShares{0.30, 0.10, 0.05, 0.20, 0.01, 0.25, 0.06, 0.03};

std::vector<float> logs(const std::vector<double>& shares) {
  std::vector<float> log_probs;
  for (const double share : shares) log_probs.push_back(static_cast<float>(std::log(share)));
  return log_probs;
}

TEST(Inspection, HasTheLikeliestFirstAndTheTokenInAnyCase) {
  const Inspection seen = inspect(logs(kShares), nullptr, 4, 3);
  EXPECT_EQ(seen.token.id, 4u);
  EXPECT_NEAR(std::exp(seen.token.log_p), 0.01, 1e-7);
  EXPECT_EQ(seen.rank, 8);
  ASSERT_EQ(seen.joint.size(), 4u);
  EXPECT_EQ(seen.joint[0].id, 0u);
  EXPECT_EQ(seen.joint[1].id, 5u);
  EXPECT_EQ(seen.joint[2].id, 3u);
  EXPECT_EQ(seen.joint[3].id, 4u) << "not one of the three, and looked at";
  EXPECT_FALSE(seen.levels) << "one level has no map";
  EXPECT_EQ(inspect(logs(kShares), nullptr, 5, 3).joint.size(), 3u) << "it is one of the three";
  EXPECT_EQ(inspect(logs(kShares), nullptr, 0, 3).rank, 1);
}

TEST(Inspection, LevelsMultiplyToTheJointDistribution) {
  const Inspection seen = inspect(logs(kShares), &kMap, 6, 10);
  ASSERT_TRUE(seen.levels);
  const Levels& levels = *seen.levels;
  EXPECT_EQ(levels.shortlist, 2);
  EXPECT_EQ(levels.groups, 2);
  EXPECT_EQ(levels.index, 3) << "the second group, behind two tokens by themselves";
  EXPECT_NEAR(std::exp(levels.token_log_p), 0.06 / 0.12, 1e-6);
  ASSERT_EQ(levels.classes.size(), 4u);
  const std::vector<std::int64_t> order{2, 1, 0, 3};  // 0.33, 0.30, 0.25, 0.12
  double total = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const LikelyClass& entry = levels.classes[i];
    EXPECT_EQ(entry.index, order[i]);
    EXPECT_EQ(entry.single, order[i] < 2);
    EXPECT_EQ(entry.size, order[i] < 2 ? 1 : 3);
    total += std::exp(entry.log_p);
    double inside = 0;
    for (const LikelyToken& token : entry.tokens) {
      inside += std::exp(token.log_p);
      EXPECT_NEAR(std::exp(entry.log_p + token.log_p), kShares[token.id], 1e-6);
    }
    EXPECT_NEAR(inside, 1, 1e-6);
  }
  EXPECT_NEAR(total, 1, 1e-6);
  EXPECT_EQ(levels.classes[0].tokens[0].id, 3u);
}

TEST(Inspection, KeepsTheOwnClassWhereItIsUnlikely) {
  const Inspection seen = inspect(logs(kShares), &kMap, 4, 1);
  ASSERT_EQ(seen.levels->classes.size(), 2u);
  EXPECT_EQ(seen.levels->classes[1].index, 3);
  ASSERT_EQ(seen.levels->classes[1].tokens.size(), 2u) << "the likeliest of the group, and the token";
  EXPECT_EQ(seen.levels->classes[1].tokens[0].id, 6u);
  EXPECT_EQ(seen.levels->classes[1].tokens[1].id, 4u);
  EXPECT_EQ(inspect(logs(kShares), &kMap, 5, 4).levels->index, 0);
}

TEST(Inspection, TiesGoToTheLowerId) {
  const std::vector<float> even(8, std::log(0.125f));
  const Inspection seen = inspect(even, &kMap, 0, 3);
  EXPECT_EQ(seen.rank, 1);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(seen.joint[i].id, i);
}

TEST(Inspection, GroupsOfImpossibleTokensHaveNoProbability) {
  std::vector<float> log_probs = logs(kShares);
  for (const std::uint32_t id : kMap.groups[1]) log_probs[id] = -std::numeric_limits<float>::infinity();
  const Inspection seen = inspect(log_probs, &kMap, 1, 10);
  EXPECT_EQ(seen.levels->classes.back().index, 3);
  EXPECT_EQ(seen.levels->classes.back().log_p, -std::numeric_limits<double>::infinity());
}

TEST(Inspection, RefusesWhatIsNotThere) {
  test::expect_error(ErrorCode::kInvalidArgument, {"no token 8", "has 8"}, [] { inspect(logs(kShares), &kMap, 8, 3); });
  std::vector<float> broken = logs(kShares);
  broken[2] = std::numeric_limits<float>::quiet_NaN();
  test::expect_error(ErrorCode::kNumeric, {"no numbers"}, [&] { inspect(broken, &kMap, 1, 3); });
}

}  // namespace
}  // namespace fabula::infer
