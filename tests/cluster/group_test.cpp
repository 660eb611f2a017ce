// Ranks that are threads: sums in a fixed order, and what becomes of all where one fails.
#include "cluster/ordered_sum.hpp"
#include "cluster/tree_sum.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <mutex>

#include "base/philox.hpp"
#include "cluster/run_ranks.hpp"

namespace fabula::cluster {
namespace {
using test::RankEnd;
using test::run_ranks;
using train::Reducer;
using train::WireType;
using namespace std::chrono_literals;

constexpr auto kLong = 60s;  // never waited for

std::vector<float> numbers_of(int rank, std::size_t count) {
  Philox random(7, static_cast<std::uint64_t>(rank));
  std::vector<float> numbers(count);
  for (float& number : numbers) number = std::ldexp(static_cast<float>(random.below(1 << 24)) - (1 << 23), -20);
  return numbers;
}

/// The tree, as its definition says it.
float tree(std::span<const float> numbers) {
  if (numbers.size() == 1) return numbers.front();
  const std::size_t split = std::bit_floor(numbers.size() - 1);
  return tree(numbers.first(split)) + tree(numbers.subspan(split));
}

void expect_good(const std::vector<RankEnd>& ends) {
  for (const RankEnd& end : ends) EXPECT_EQ(end.error, "");
}

TEST(OrderedSum, IsTheTreeOverRanksOnEveryRank) {
  for (const int size : {1, 2, 3, 4, 7})
    for (const std::size_t count : {std::size_t{1}, std::size_t{3}, std::size_t{20011}}) {
      std::vector<float> expected(count);
      for (std::size_t i = 0; i < count; ++i) {
        std::vector<float> parts;
        for (int r = 0; r < size; ++r) parts.push_back(numbers_of(r, count)[i]);
        expected[i] = tree(parts);
        if (count > 1000 && i > 100) break;  // numbers_of all of them each time
      }
      std::vector<std::vector<float>> sums(static_cast<std::size_t>(size));
      expect_good(run_ranks(size, [&](Reducer& rank) {
        std::vector<float>& sum = sums[static_cast<std::size_t>(rank.rank())];
        sum = numbers_of(rank.rank(), count);
        rank.sum(sum, kLong);
      }));
      for (const std::vector<float>& sum : sums) {
        EXPECT_EQ(sum, sums.front()) << size << " ranks, " << count;
        for (std::size_t i = 0; i < std::min<std::size_t>(count, 100); ++i) ASSERT_EQ(sum[i], expected[i]);
      }
    }
}

TEST(OrderedSum, SeveralAreUnderWayAtOnce) {
  expect_good(run_ranks(3, [](Reducer& rank) {
    std::vector<std::vector<float>> values;
    std::vector<std::uint64_t> sums;
    for (std::size_t i = 0; i < 5; ++i)
      values.push_back(std::vector<float>(10 + i, static_cast<float>(rank.rank() + 1) * static_cast<float>(i)));
    for (std::vector<float>& of : values) sums.push_back(rank.start_sum(of, WireType::kFp32, kLong));
    for (std::size_t i = sums.size(); i-- > 0;) {
      rank.finish_sum(sums[i]);
      EXPECT_EQ(values[i], std::vector<float>(10 + i, 6.0f * static_cast<float>(i)));
    }
  }));
}

TEST(OrderedSum, SixteenBitsOnTheWireAreEqualOnAllRanks) {
  std::vector<std::vector<float>> sums(3);
  expect_good(run_ranks(3, [&](Reducer& rank) {
    std::vector<float>& sum = sums[static_cast<std::size_t>(rank.rank())];
    sum = numbers_of(rank.rank(), 100);
    rank.finish_sum(rank.start_sum(sum, WireType::kBf16, kLong));
  }));
  for (std::size_t i = 0; i < 100; ++i) {
    double expected = 0, largest = 0;
    for (int r = 0; r < 3; ++r) {
      const double number = static_cast<double>(numbers_of(r, 100)[i]);
      expected += number;
      largest = std::max(largest, std::abs(number));
    }
    EXPECT_NEAR(sums[0][i], expected, 4 * largest / 256) << i;
    EXPECT_EQ(sums[1][i], sums[0][i]);
    EXPECT_EQ(sums[2][i], sums[0][i]);
  }
}

TEST(OrderedSum, SubnormalNumbersAreKeptOrZero) {
  for (const bool flush : {false, true})
    expect_good(run_ranks(2, [&](Reducer& rank) {
      rank.flush_subnormals(flush);
      std::vector<float> values{0x1p-130f, rank.rank() == 0 ? 0x1.8p-126f : -0x1p-126f, 1};
      rank.sum(values, kLong);
      EXPECT_EQ(values, (flush ? std::vector<float>{0, 0, 2} : std::vector<float>{0x1p-129f, 0x1p-127f, 2}));
    }));
}

TEST(OrderedSum, SlicesCoverEverythingOnce) {
  for (const std::size_t count : {0u, 1u, 5u, 8u, 1001u})
    for (const int size : {1, 2, 3, 8}) {
      std::size_t end = 0;
      for (int r = 0; r < size; ++r) {
        const Slice slice = slice_of(count, r, size);
        EXPECT_EQ(slice.begin, end);
        EXPECT_LE(slice.count(), count / static_cast<std::size_t>(size) + 1);
        end = slice.end;
      }
      EXPECT_EQ(end, count);
    }
}

TEST(Ranks, TellEachOtherBytesAndTexts) {
  expect_good(run_ranks(3, [](Reducer& rank) {
    const std::string own(static_cast<std::size_t>(rank.rank()) * 3, 'x');
    const auto all = rank.gather(std::as_bytes(std::span(own)), kLong);
    ASSERT_EQ(all.size(), rank.leads() ? 3u : 0u);
    for (std::size_t r = 0; r < all.size(); ++r) EXPECT_EQ(all[r].size(), 3 * r);
    EXPECT_EQ(rank.broadcast_text(rank.leads() ? "what rank 0 says" : "ignored", kLong), "what rank 0 says");
    EXPECT_EQ(rank.broadcast_text(""), "");
    rank.barrier(kLong);
    rank.agree("their number", "3");
  }));
}

TEST(Ranks, AgreeOrAreToldWhoDiffersAndWhere) {
  const std::string same(300, '.');
  const std::vector<RankEnd> ends = run_ranks(
      4, [&](Reducer& rank) { rank.agree("the config", same + (rank.rank() == 2 ? "steps 7" : "steps 8") + same); });
  for (const RankEnd& end : ends) {
    EXPECT_EQ(end.code, ErrorCode::kInvalidArgument);
    for (const char* part : {"rank 2", "the config", "steps 7", "steps 8"})
      EXPECT_NE(end.error.find(part), std::string::npos) << end.error;
    EXPECT_LT(end.error.size(), 400u);
  }
}

TEST(Ranks, ShareWhatRankZeroFails) {
  const std::vector<RankEnd> ends = run_ranks(3, [](Reducer& rank) {
    rank.lead([] {});
    rank.lead([&] {
      EXPECT_TRUE(rank.leads());
      throw Error(ErrorCode::kIo, "the disk is full");
    });
  });
  for (const RankEnd& end : ends) {
    EXPECT_EQ(end.error, "the disk is full");
    EXPECT_EQ(end.code, ErrorCode::kIo);
  }
}

// The others end by their patience, or by what the first of them says.
TEST(Ranks, AStallEndsAllAndIsNamed) {
  std::mutex stalled;
  stalled.lock();
  int ended = 0;
  std::mutex counting;
  const std::vector<RankEnd> ends = run_ranks(3, [&](Reducer& rank) {
    std::vector<float> values(10, 1.0f);
    rank.sum(values, kLong);
    if (rank.rank() == 1) {
      const std::lock_guard wait(stalled);  // until both others have ended
      rank.sum(values, kLong);
      return;
    }
    try {
      rank.sum(values, 200ms);
    } catch (...) {
      const std::lock_guard lock(counting);
      if (++ended == 2) stalled.unlock();
      throw;
    }
  });
  for (const RankEnd& end : ends) EXPECT_EQ(end.code, ErrorCode::kPeer) << end.error;
  EXPECT_NE((ends[0].error + ends[2].error).find("no answer from rank 1"), std::string::npos)
      << ends[0].error << "; " << ends[2].error;
  EXPECT_NE(ends[0].error.find("adding gradients"), std::string::npos) << ends[0].error;
}

TEST(Ranks, OneThatEndsEndsAll) {
  const std::vector<RankEnd> ends = run_ranks(3, [&](Reducer& rank) {
    if (rank.rank() == 2) return;
    std::vector<float> values(10, 1.0f);
    rank.sum(values, kLong);
  });
  EXPECT_EQ(ends[2].error, "");
  for (const RankEnd& end : {ends[0], ends[1]}) {
    EXPECT_EQ(end.code, ErrorCode::kPeer);
    EXPECT_NE(end.error.find("rank 2 has ended"), std::string::npos) << end.error;
  }
}

TEST(Ranks, AnAbortReachesThoseThatWait) {
  const std::vector<RankEnd> ends = run_ranks(3, [&](Reducer& rank) {
    std::vector<float> values(10, 1.0f);
    if (rank.rank() == 1) rank.abort("the device is lost");
    rank.sum(values, kLong);
  });
  for (const RankEnd& end : ends) {
    EXPECT_EQ(end.code, ErrorCode::kPeer);
    EXPECT_NE(end.error.find("rank 1: the device is lost"), std::string::npos) << end.error;
  }
}

}  // namespace
}  // namespace fabula::cluster
