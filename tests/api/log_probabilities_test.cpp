#include <cmath>

#include "api_test.hpp"

namespace fabula::test {
namespace {

const std::vector<std::uint32_t> kIds = {kEndToken, 10, 200, 33};

TEST(ApiLogProbabilities, AgreeWithEachOther) {
  Session own = session(1, true);
  const std::vector<fabula_score> scores = own.score(kIds);
  ASSERT_EQ(scores.size(), kIds.size());
  EXPECT_TRUE(std::isnan(scores[0].log_p));
  for (std::size_t i = 1; i < kIds.size(); ++i) {
    const std::vector<std::uint32_t> before(kIds.begin(), kIds.begin() + static_cast<std::ptrdiff_t>(i));
    const std::vector<float> log_p = own.distribution(before);
    double sum = 0;
    for (const float value : log_p) sum += std::exp(static_cast<double>(value));
    EXPECT_NEAR(sum, 1, 1e-5);
    EXPECT_NEAR(scores[i].log_p, log_p[kIds[i]], 1e-5);
    EXPECT_NEAR(scores[i].group_log_p + scores[i].token_log_p, scores[i].log_p, 1e-9);
    EXPECT_GE(scores[i].group, 0);

    double joint_before = 1, groups = 0, tokens = 0;
    int chosen_tokens = 0, chosen_groups = 0;
    for (const fabula_entry& entry : own.inspect(before, kIds[i], log_p.size())) {
      if (entry.level == FABULA_LEVEL_JOINT) {
        EXPECT_LE(entry.log_p, joint_before) << "the likeliest first";
        joint_before = entry.log_p;
        EXPECT_NEAR(entry.log_p, log_p[entry.id], 1e-5);
        if (entry.chosen) {
          EXPECT_EQ(entry.id, kIds[i]);
        }
      } else if (entry.level == FABULA_LEVEL_GROUP) {
        groups += std::exp(entry.log_p);
        if (tokens != 0) {
          EXPECT_NEAR(tokens, 1, 1e-4) << "the tokens of the group before";
        }
        tokens = 0;
        EXPECT_EQ(entry.id, FABULA_NO_TOKEN);
        if (entry.chosen) {
          ++chosen_groups;
          EXPECT_EQ(entry.group, scores[i].group);
          EXPECT_NEAR(entry.log_p, scores[i].group_log_p, 1e-6);
        }
      } else {
        tokens += std::exp(entry.log_p);
        if (entry.chosen) {
          ++chosen_tokens;
          EXPECT_EQ(entry.id, kIds[i]);
          EXPECT_NEAR(entry.log_p, scores[i].token_log_p, 1e-6);
        }
      }
    }
    EXPECT_NEAR(groups, 1, 1e-5);
    EXPECT_EQ(chosen_groups, 1);
    EXPECT_EQ(chosen_tokens, 1);
  }
}

TEST(ApiLogProbabilities, AreThoseOfGeneration) {
  Session own = session(1, true);
  std::vector<std::uint32_t> ids = {kEndToken};
  for (const std::uint32_t id : model().encode("abc")) ids.push_back(id);
  std::vector<double> told;
  own.generate("abc", text_options(5), [&](const Token& token) {
    if (token.id == FABULA_NO_TOKEN) return;
    ids.push_back(token.id);
    told.push_back(token.log_p);
  });
  const std::vector<fabula_score> scores = own.score(ids);
  ASSERT_EQ(told.size(), 5U);
  for (std::size_t i = 0; i < told.size(); ++i) EXPECT_NEAR(told[i], scores[4 + i].log_p, 1e-4) << i;
}

TEST(ApiLogProbabilities, OfAHeadWithOneLevel) {
  SessionOptions options;
  options.score = true;
  options.levels = true;
  Session own(device(), Model(full_model().string()), options);
  const std::vector<fabula_score> scores = own.score(kIds);
  EXPECT_FALSE(std::isnan(scores[1].log_p));
  EXPECT_TRUE(std::isnan(scores[1].group_log_p));
  EXPECT_TRUE(std::isnan(scores[1].token_log_p));
  EXPECT_EQ(scores[1].group, -1);
  for (const fabula_entry& entry : own.inspect(kIds, 7, 3)) EXPECT_EQ(entry.level, FABULA_LEVEL_JOINT);
  own.generate("abc", text_options(3), [](const Token& token) {
    EXPECT_EQ(token.group, -1);
    EXPECT_TRUE(std::isnan(token.group_log_p));
  });
}

TEST(ApiLogProbabilities, AreRefusedWhereTheyCannotBe) {
  Session without = session();
  expect_thrown([&] { without.score(kIds); }, FABULA_INVALID_ARGUMENT, "score");
  expect_thrown([&] { without.distribution(kIds); }, FABULA_INVALID_ARGUMENT, "score");
  Session own = session(1, true);
  expect_thrown([&] { own.score({}); }, FABULA_INVALID_ARGUMENT, "no token");
  expect_thrown([&] { own.score({1, 4000}); }, FABULA_INVALID_ARGUMENT, "4000");
  expect_thrown([&] { own.score(std::vector<std::uint32_t>(65, 1)); }, FABULA_INVALID_ARGUMENT, "65");
  expect_thrown([&] { own.inspect(kIds, 4000, 3); }, FABULA_INVALID_ARGUMENT, "4000");
  float one = 0;
  expect_failed(fabula_session_distribution(own.get(), kIds.data(), kIds.size(), &one, 1), FABULA_TOO_SMALL, "257");
  own.begin("abc", endless());
  expect_thrown([&] { own.score(kIds); }, FABULA_BUSY, "slot");
}

TEST(ApiLogProbabilities, ListsEndWhereNoMoreIsWanted) {
  Session own = session(1, true);
  int told = 0;
  const fabula_entry_callback once = [](void* user, const fabula_entry*) { return ++*static_cast<int*>(user); };
  EXPECT_EQ(fabula_session_inspect(own.get(), kIds.data(), kIds.size(), 5, 10, once, &told), FABULA_OK);
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace fabula::test
