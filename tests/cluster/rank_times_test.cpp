// Which rank is slow shows on rank 0.
#include "train/rank_times.hpp"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "cluster/thread_world.hpp"

namespace fabula::cluster {
namespace {

TEST(RankTimes, RankZeroHearsOfAll) {
  auto world = thread_world(3);
  std::vector<std::map<std::string, double>> values(world.size()), later(world.size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < world.size(); ++r)
    threads.emplace_back([&, r] {
      train::RankTimes times(*world[r]);
      for (int step = 0; step < 2; ++step) times.add(1, 0.25 * static_cast<double>(r), 300);
      times.tell(values[r]);
      times.tell(later[r]);  // nothing was done since
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(values[1].empty());
  ASSERT_EQ(values[0].size(), 6u);
  EXPECT_DOUBLE_EQ(values[0].at("rank_0_tokens_per_second"), 300);
  EXPECT_DOUBLE_EQ(values[0].at("rank_2_tokens_per_second"), 600);  // in the half of its time that it computed
  EXPECT_DOUBLE_EQ(values[0].at("rank_2_waiting"), 0.5);
  EXPECT_EQ(later[0].at("rank_2_tokens_per_second"), 0);
}

}  // namespace
}  // namespace fabula::cluster
