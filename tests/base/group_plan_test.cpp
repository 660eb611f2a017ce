#include "base/group_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/philox.hpp"
#include "expect_error.hpp"

namespace fabula {
namespace {

/// Every position once, in a chunk of its group; chunks of a group together, in the order of the positions; the rest
/// unused.
void expect_complete(const std::vector<GroupTarget>& targets, std::uint32_t groups) {
  const GroupPlanLayout layout(static_cast<std::int64_t>(targets.size()), groups);
  const std::vector<std::uint32_t> plan = make_group_plan(targets, groups);
  ASSERT_EQ(static_cast<std::int64_t>(plan.size()), layout.words);
  std::set<std::uint32_t> seen;
  for (std::int64_t c = 0; c < layout.chunks; ++c) {
    const std::uint32_t *chunk = plan.data() + 4 * c, group = chunk[0], count = chunk[2];
    EXPECT_LE(count, 64u);
    std::int64_t last = -1;
    for (std::uint32_t i = chunk[1]; i < chunk[1] + count; ++i) {
      const std::uint32_t position = plan[static_cast<std::size_t>(layout.entries) + 2 * i];
      const GroupTarget& target = targets.at(position);
      EXPECT_TRUE(seen.insert(position).second) << "position " << position << " twice";
      EXPECT_EQ(target.group, group);
      EXPECT_EQ(target.slot, plan[static_cast<std::size_t>(layout.entries) + 2 * i + 1]);
      EXPECT_EQ(chunk[3], target.slots);  // 0 for positions that don't count
      EXPECT_GT(static_cast<std::int64_t>(position), last);
      last = position;
    }
  }
  EXPECT_EQ(seen.size(), targets.size());
  const std::uint32_t* group_chunks = plan.data() + layout.group_chunks;
  EXPECT_EQ(group_chunks[0], 0u);
  for (std::uint32_t g = 0; g < groups; ++g) {
    for (std::uint32_t c = group_chunks[g]; c < group_chunks[g + 1]; ++c) EXPECT_EQ(plan[4 * c], g);
  }
  for (std::int64_t c = group_chunks[groups]; c < layout.chunks; ++c) {
    const std::uint32_t* chunk = plan.data() + 4 * c;
    EXPECT_TRUE(chunk[0] == kIgnoredLabel || chunk[2] == 0) << "chunk " << c << " belongs to no group's range";
  }
}

TEST(GroupPlan, ListsEveryPositionOnce) {
  Philox random(3);
  for (const std::uint32_t groups : {1u, 2u, 7u, 300u}) {
    for (const std::size_t positions : {1u, 63u, 64u, 65u, 700u}) {
      std::vector<GroupTarget> targets;
      for (std::size_t n = 0; n < positions; ++n) {
        const std::uint32_t group = random.below(groups), slots = 1 + group % 5;
        targets.push_back({group, random.below(slots), slots});
        if (random.below(6) == 0) targets.back() = {kIgnoredLabel, 0, 0};
      }
      SCOPED_TRACE(testing::Message() << positions << " positions, " << groups << " groups");
      expect_complete(targets, groups);
    }
  }
}

TEST(GroupPlan, HoldsOneGroupAloneAndNoneAtAll) {
  expect_complete(std::vector<GroupTarget>(640, GroupTarget{4, 2, 3}), 5);
  expect_complete(std::vector<GroupTarget>(130, GroupTarget{kIgnoredLabel, 0, 0}), 5);
}

TEST(GroupPlan, RefusesWhatIsOutOfRange) {
  const auto plan = [](GroupTarget target) { return [=] { make_group_plan(std::vector<GroupTarget>{target}, 5); }; };
  test::expect_error(ErrorCode::kInvalidArgument, {"position 0", "group 5", "below 5"}, plan({5, 0, 3}));
  test::expect_error(ErrorCode::kInvalidArgument, {"position 0", "slot 3", "below 3"}, plan({4, 3, 3}));
}

/// Every chunk's rows lie behind those before it in its round, which they do not leave.
void expect_rounds(const std::vector<GroupTarget>& targets, std::uint32_t groups, std::uint32_t slots) {
  const GroupPlanLayout layout(static_cast<std::int64_t>(targets.size()), groups, slots);
  const std::vector<std::uint32_t> plan = make_group_plan(targets, groups, slots);
  ASSERT_EQ(static_cast<std::int64_t>(plan.size()), layout.words);
  const std::vector<std::uint32_t> without = make_group_plan(targets, groups);
  EXPECT_TRUE(std::equal(without.begin(), without.end(), plan.begin())) << "rounds change the rest of the plan";
  const std::uint32_t* const rounds = plan.data() + layout.round_chunks;
  EXPECT_EQ(rounds[0], 0u);
  std::int64_t entries = 0;
  for (std::int64_t r = 0; r < layout.rounds.count; ++r) {
    std::int64_t at = 0;
    for (std::uint32_t c = rounds[r]; c < rounds[r + 1]; ++c) {
      EXPECT_EQ(plan[static_cast<std::size_t>(layout.places + c)], at);
      at += std::int64_t{plan[4 * c + 2]} * ((plan[4 * c + 3] + 3) / 4);
      entries += plan[4 * c + 2];
    }
    EXPECT_LE(at, layout.rounds.vec4s);
  }
  EXPECT_EQ(entries, layout.positions);
}

TEST(GroupPlan, CutsTheWorstBatchIntoItsRounds) {
  Philox random(5);
  for (const std::uint32_t slots : {1u, 225u, 257u, 1801u, 20000u}) {
    for (const std::size_t positions : {1u, 65u, 700u, 5000u}) {
      SCOPED_TRACE(testing::Message() << positions << " positions, " << slots << " slots");
      expect_rounds(std::vector<GroupTarget>(positions, GroupTarget{1, 0, slots}), 3, slots);
      std::vector<GroupTarget> targets;
      for (std::size_t n = 0; n < positions; ++n) {
        const std::uint32_t group = random.below(9), size = group == 8 ? slots : 1 + group % slots;
        targets.push_back({group, random.below(size), size});
        if (random.below(6) == 0) targets.back() = {kIgnoredLabel, 0, 0};
      }
      expect_rounds(targets, 9, slots);
    }
  }
}

TEST(GroupRounds, HoldAQuarterOfTheWorstBatch) {
  const auto rounds = [](std::int64_t positions, std::int64_t slots) { return GroupRounds(positions, slots); };
  EXPECT_EQ(rounds(16384, 0).count, 0);
  EXPECT_EQ(rounds(16384, 225).count, 1);  // groups of one size: all at once
  EXPECT_EQ(rounds(16384, 225).vec4s, 16384 * 57);
  EXPECT_EQ(rounds(16384, 1000).count, 4);
  EXPECT_EQ(rounds(16384, 1000).vec4s, 16384 * 64 + 64 * 250);
  EXPECT_EQ(rounds(64, 1801).count, 1) << "a round holds a chunk more than its share";
  EXPECT_LE(rounds(262144, kMaxRaggedSlots).vec4s, 1 << 22);
  test::expect_error(ErrorCode::kInvalidArgument, {"131073 tokens", "131072"}, [&] { rounds(1, kMaxRaggedSlots + 1); });
  test::expect_error(ErrorCode::kInvalidArgument, {"position 0", "5 slots", "largest has 4"}, [] {
    make_group_plan(std::vector<GroupTarget>{{0, 1, 5}}, 1, 4);
  });
}

}  // namespace
}  // namespace fabula
