#include "base/segments.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/philox.hpp"
#include "expect_error.hpp"

namespace fabula {
namespace {

/// Reads a plan back: every position once, in the chunks of its key, rising; partial rows consecutive and merged in
/// order.
void expect_whole(const std::vector<std::uint32_t>& keys, std::int64_t key_count) {
  const SegmentPlan plan = plan_segments(keys, key_count);
  const SegmentCapacity capacity{static_cast<std::int64_t>(keys.size()), key_count};
  ASSERT_EQ(static_cast<std::int64_t>(plan.segments.size()), capacity.words());
  const auto group = [&](std::int64_t i) {
    return std::span(plan.segments).subspan(static_cast<std::size_t>(4 * i), 4);
  };
  const auto chunk_count = group(0)[0], merge_count = group(0)[1], partial_rows = group(0)[2];
  ASSERT_LE(chunk_count, capacity.chunks());
  ASSERT_LE(merge_count, capacity.merges());
  ASSERT_LE(partial_rows, capacity.partials());
  std::vector<std::uint32_t> partial_key;
  std::size_t at = 0;
  for (std::uint32_t c = 0; c < chunk_count; ++c) {
    const auto chunk = group(1 + c);
    EXPECT_EQ(chunk[1], at);
    EXPECT_GE(chunk[2], 1u);
    EXPECT_LE(chunk[2], kSegmentChunk);
    for (std::uint32_t k = 0; k < chunk[2]; ++k) {
      EXPECT_EQ(keys[plan.order[at + k]], chunk[0]);
      if (at + k == 0) continue;
      const std::uint32_t before = plan.order[at + k - 1];
      EXPECT_TRUE(keys[before] != chunk[0] || before < plan.order[at + k]);
    }
    if (chunk[3] == SegmentPlan::kNoPartial) {
      EXPECT_EQ(chunk[2], std::count(keys.begin(), keys.end(), chunk[0]));
    } else {
      EXPECT_EQ(chunk[3], partial_key.size());
      partial_key.push_back(chunk[0]);
    }
    at += chunk[2];
  }
  EXPECT_EQ(at, std::count_if(keys.begin(), keys.end(), [&](auto key) { return key < key_count; }));
  for (; at < keys.size(); ++at) EXPECT_GE(keys[plan.order[at]], key_count);
  ASSERT_EQ(partial_rows, partial_key.size());
  std::uint32_t row = 0;
  for (std::uint32_t m = 0; m < merge_count; ++m) {
    const auto merge = group(capacity.merge_begin() + m);
    EXPECT_EQ(merge[1], row);
    EXPECT_GE(merge[2], 2u);
    for (std::uint32_t k = 0; k < merge[2]; ++k) EXPECT_EQ(partial_key.at(row + k), merge[0]);
    row += merge[2];
  }
  EXPECT_EQ(row, partial_rows);
}

TEST(Segments, SkewedKeysAreWhole) {
  Philox random(7);
  std::vector<std::uint32_t> keys(5000);
  for (auto& key : keys) key = random.below(1 + random.below(400));
  expect_whole(keys, 400);
}

TEST(Segments, WorstCasesFitTheCapacity) {
  expect_whole(std::vector<std::uint32_t>(1, 0), 1);
  expect_whole(std::vector<std::uint32_t>(64, 3), 5);
  expect_whole(std::vector<std::uint32_t>(65, 3), 5);
  expect_whole(std::vector<std::uint32_t>(6400, 0), 1);
  std::vector<std::uint32_t> distinct(1000);
  std::iota(distinct.rbegin(), distinct.rend(), 0);
  expect_whole(distinct, 1000);
  std::vector<std::uint32_t> just_two_chunks(65 * 40);  // the most partial rows: 65 positions a key
  for (std::size_t n = 0; n < just_two_chunks.size(); ++n) just_two_chunks[n] = static_cast<std::uint32_t>(n % 40);
  expect_whole(just_two_chunks, 40);
}

TEST(Segments, KeysOutOfRangeBelongToNoSegment) {
  expect_whole({9, 1, 4, 1, 0xFFFFFFFF, 3}, 4);
  expect_whole({9, 9}, 4);
}

TEST(Segments, RefusesWrongSizes) {
  const std::vector<std::uint32_t> keys{1, 2};
  std::vector<std::uint32_t> order(1), segments(4);
  EXPECT_THROW(plan_segments(keys, 3, order, segments), Error);
  EXPECT_THROW(plan_segments(keys, 0), Error);
}

}  // namespace
}  // namespace fabula
