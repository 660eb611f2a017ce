#include "heads/token_groups.hpp"

#include <gtest/gtest.h>

#include "expect_error.hpp"

namespace fabula::heads {
namespace {
using test::expect_error;

ModelConfig config(std::int64_t vocabulary, HeadConfig head) {
  ModelConfig config;
  config.vocab_size = vocabulary;
  config.head = std::move(head);
  return config;
}

TEST(TokenGroups, IdRangesCoverTheVocabularyAndLeavePhantomsLast) {
  const ModelConfig model = config(50257, {.kind = HeadKind::kGrouped});
  const TokenGroups groups(consecutive_map(model), 50257, model.slots());
  EXPECT_EQ(groups.groups(), 224);
  EXPECT_EQ(groups.slots(), 225);
  EXPECT_EQ(groups.token(0, 0), 0u);
  EXPECT_EQ(groups.token(1, 0), 225u);
  EXPECT_EQ(groups.token(223, 81), 50256u);
  EXPECT_EQ(groups.token(223, 82), TokenGroups::kNone);  // the first of 143 phantom slots
  const GroupTarget last = groups.target(50256);
  EXPECT_EQ(last.group, 223u);
  EXPECT_EQ(last.slot, 81u);
  EXPECT_EQ(last.slots, 82u);
  EXPECT_EQ(groups.target(kIgnoredLabel).group, kIgnoredLabel);
  EXPECT_EQ(groups.class_of(kIgnoredLabel), kIgnoredLabel);
}

TEST(TokenGroups, MoreGroupsThanIdsNeedShareThemEvenly) {
  const TokenMap map = consecutive_map(config(
      31, {.kind = HeadKind::kGrouped, .shortlist = 3, .map = GroupMap::kRandom, .group_size = 10, .groups = 6}));
  EXPECT_EQ(map.shortlist, (std::vector<std::uint32_t>{0, 1, 2}));
  ASSERT_EQ(map.groups.size(), 6u);
  for (const auto& group : map.groups) EXPECT_NEAR(double(group.size()), 28.0 / 6, 1);
  check_token_map(map, 31, "map");
}

TEST(TokenGroups, AdaptiveClustersAreGroups) {
  const ModelConfig model = config(100, {.kind = HeadKind::kAdaptive, .cutoffs = {10, 40}});
  const TokenGroups groups(consecutive_map(model), 100);
  EXPECT_EQ(groups.shortlist(), 10);
  EXPECT_EQ(groups.groups(), 2);
  EXPECT_EQ(groups.slots(), 60);
  EXPECT_EQ(groups.class_of(39), 10u);
  EXPECT_EQ(groups.target(40).group, 1u);
  EXPECT_EQ(config(50257, {.kind = HeadKind::kAdaptive}).cutoffs(), (std::vector<std::int64_t>{2010, 10051}));
  EXPECT_EQ(config(3, {.kind = HeadKind::kAdaptive}).cutoffs(), (std::vector<std::int64_t>{1}));
}

TEST(TokenGroups, AnyMapHasItsLookUps) {
  const TokenGroups groups({.shortlist = {5, 2}, .groups = {{1}, {3, 0, 4}}}, 6, 4);
  EXPECT_EQ(groups.tail(), 4);
  EXPECT_EQ(groups.classes(), 4);
  EXPECT_EQ(groups.target(2).group, kIgnoredLabel);
  EXPECT_EQ(groups.class_of(2), 1u);
  EXPECT_EQ(groups.class_of(4), 3u);
  EXPECT_EQ(groups.target(4).slot, 2u);
  EXPECT_EQ(groups.target(4).slots, 3u);
  EXPECT_EQ(groups.starts(), (std::vector<std::uint32_t>{0, 1, 4}));
  EXPECT_EQ(groups.slot_tokens(), (std::vector<std::uint32_t>{1, 0, 0, 0, 3, 0, 4, 0}));
  EXPECT_EQ(groups.slot_orders(), (std::vector<std::uint32_t>{0, 0, 0, 0, 1, 2, 3, 0}));
  constexpr std::uint32_t kNone = TokenGroups::kNone;
  EXPECT_EQ(groups.entries(), (std::vector<std::uint32_t>{3, 2, 2, 0, 1, kNone, 3, 1, 3, 3, 0, kNone}));
}

TEST(TokenGroups, MapsThatDoNotFitAreRefused) {
  expect_error(ErrorCode::kFormat, {"a group has 3 tokens", "head.group_size is 2", "at least 3"}, [] {
    TokenGroups({.shortlist = {}, .groups = {{0, 1, 2}}}, 3, 2);
  });
  expect_error(ErrorCode::kFormat, {"token 1"}, [] { TokenGroups({.shortlist = {1}, .groups = {{0, 1, 2}}}, 3, 3); });
}

}  // namespace
}  // namespace fabula::heads
