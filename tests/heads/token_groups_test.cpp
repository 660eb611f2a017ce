#include "heads/token_groups.hpp"

#include <gtest/gtest.h>

#include "expect_error.hpp"

namespace fabula::heads {
namespace {
using test::expect_error;

TEST(TokenGroups, IdRangesCoverTheVocabularyAndLeavePhantomsLast) {
  const TokenGroups groups = TokenGroups::id_ranges(50257, 225);
  EXPECT_EQ(groups.groups(), 224);
  EXPECT_EQ(groups.token(0, 0), 0u);
  EXPECT_EQ(groups.token(1, 0), 225u);
  EXPECT_EQ(groups.token(223, 81), 50256u);
  EXPECT_EQ(groups.token(223, 82), TokenGroups::kPhantom);
  EXPECT_EQ(groups.sizes()[222], 225u);
  EXPECT_EQ(groups.sizes()[223], 82u);  // 143 phantom slots
  const GroupTarget last = groups.target(50256);
  EXPECT_EQ(last.group, 223u);
  EXPECT_EQ(last.slot, 81u);
  EXPECT_EQ(last.slots, 82u);
  EXPECT_EQ(groups.target(kIgnoredLabel).group, kIgnoredLabel);
}

TEST(TokenGroups, ExtremeGroupSizes) {
  EXPECT_EQ(TokenGroups::id_ranges(7, 1).groups(), 7);
  EXPECT_EQ(TokenGroups::id_ranges(7, 7).groups(), 1);
  EXPECT_EQ(TokenGroups::id_ranges(1, 1).groups(), 1);
  expect_error(ErrorCode::kInvalidArgument, {"head.group_size is 0", "1 to 7"}, [] { TokenGroups::id_ranges(7, 0); });
  expect_error(ErrorCode::kInvalidArgument, {"head.group_size is 8", "1 to 7"}, [] { TokenGroups::id_ranges(7, 8); });
  expect_error(ErrorCode::kInvalidArgument, {"head.group_size is -3"}, [] { TokenGroups::id_ranges(7, -3); });
}

TEST(TokenGroups, AnyMapThatFitsIsTaken) {
  const TokenGroups groups(2, 3, {4, 0, 3, 1});
  EXPECT_EQ(groups.token(0, 0), 1u);
  EXPECT_EQ(groups.token(1, 1), 0u);
  EXPECT_EQ(groups.token(1, 2), TokenGroups::kPhantom);
  EXPECT_EQ(groups.sizes()[0], 2u);
  EXPECT_EQ(groups.target(2).group, 1u);
  EXPECT_EQ(groups.target(2).slot, 0u);
}

TEST(TokenGroups, MapsThatDoNotFitAreRefused) {
  const auto make = [](std::int64_t g, std::int64_t s, std::vector<std::uint32_t> place) {
    return [=] { TokenGroups(g, s, place); };
  };
  expect_error(ErrorCode::kInvalidArgument, {"2 x head.group_size 2 = 4 slots", "5 tokens", "at least 3"},
               make(2, 2, {0, 1, 2, 3, 4}));
  expect_error(ErrorCode::kInvalidArgument, {"tokens 0 and 2", "group 0 slot 1"}, make(2, 2, {1, 0, 1, 2}));
  expect_error(ErrorCode::kInvalidArgument, {"token 1", "place 4", "below 4"}, make(2, 2, {0, 4}));
  expect_error(ErrorCode::kInvalidArgument, {"group 1 of 2 has no token"}, make(2, 2, {0, 1}));
  expect_error(ErrorCode::kInvalidArgument, {"group 1", "none in slot 0"}, make(2, 2, {0, 1, 3}));
  expect_error(ErrorCode::kInvalidArgument, {"head.groups is 0"}, make(0, 2, {0}));
  expect_error(ErrorCode::kInvalidArgument, {"product below"}, make(1 << 20, 1 << 20, {0}));
}

}  // namespace
}  // namespace fabula::heads
