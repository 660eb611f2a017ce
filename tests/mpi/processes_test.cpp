// Processes that mpirun has started: every rank runs these tests, in step with the others.
#include "cluster/processes.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <thread>

#include "base/environment.hpp"
#include "cluster/launch.hpp"
#include "cluster/thread_world.hpp"
#include "fabula/error.hpp"

namespace fabula::cluster {
namespace {

std::unique_ptr<Processes> processes;

train::Reducer& ranks() {
  return processes->reducer();
}

std::vector<float> values_of(int rank, std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = std::ldexp(1.0f + static_cast<float>((i * 7 + static_cast<std::size_t>(rank) * 13) % 1000) / 999.0f,
                           static_cast<int>(i % 30) - 15);
  return values;
}

/// What ranks that are threads make of the same.
std::vector<float> sum_of_threads(std::size_t count, train::WireType wire) {
  const int size = ranks().size();
  auto world = thread_world(size);
  std::vector<std::vector<float>> values;
  for (int r = 0; r < size; ++r) values.push_back(values_of(r, count));
  std::vector<std::thread> threads;
  for (int r = 0; r < size; ++r)
    threads.emplace_back([&, r] {
      const auto i = static_cast<std::size_t>(r);
      world[i]->finish_sum(world[i]->start_sum(values[i], wire, train::kPeerPatience));
    });
  for (std::thread& thread : threads) thread.join();
  return values.front();
}

TEST(Processes, AreAsManyAsWereStarted) {
  EXPECT_GT(ranks().size(), 1);
  EXPECT_LT(ranks().rank(), ranks().size());
  EXPECT_EQ(ranks().local_size(), ranks().size());
  EXPECT_EQ(ranks().local_rank(), ranks().rank());
}

TEST(Processes, AddAsThreadsDo) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{5}, std::size_t{1} << 20, (std::size_t{1} << 18) + 3})
    for (const train::WireType wire : {train::WireType::kFp32, train::WireType::kBf16}) {
      std::vector<float> values = values_of(ranks().rank(), count);
      ranks().finish_sum(ranks().start_sum(values, wire, train::kPeerPatience));
      const std::vector<float> expected = sum_of_threads(count, wire);
      EXPECT_EQ(std::memcmp(values.data(), expected.data(), count * sizeof(float)), 0) << count;
    }
}

TEST(Processes, SeveralSumsAreUnderWayAtOnce) {
  std::vector<std::vector<float>> values;
  std::vector<std::uint64_t> sums;
  for (std::size_t i = 0; i < 20; ++i) values.push_back(values_of(ranks().rank(), 1000 * i + 1));
  for (std::vector<float>& one : values)
    sums.push_back(ranks().start_sum(one, train::WireType::kFp32, train::kPeerPatience));
  for (std::size_t i = values.size(); i-- > 0;) ranks().finish_sum(sums[i]);
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(values[i], sum_of_threads(values[i].size(), train::WireType::kFp32));
}

TEST(Processes, TellEachOther) {
  EXPECT_EQ(ranks().broadcast_text(ranks().leads() ? "from rank 0" : "something else"), "from rank 0");
  const std::string own(static_cast<std::size_t>(ranks().rank()) * 3, 'x');
  const auto gathered = ranks().gather(std::as_bytes(std::span(own)), train::kPeerPatience);
  EXPECT_EQ(gathered.size(), ranks().leads() ? static_cast<std::size_t>(ranks().size()) : 0);
  for (std::size_t r = 0; r < gathered.size(); ++r) EXPECT_EQ(gathered[r].size(), 3 * r);
  ranks().barrier(train::kPeerPatience);
}

TEST(Processes, DisagreementNamesTheRank) {
  ranks().agree("the answer", "42");
  try {
    ranks().agree("the answer", std::to_string(41 + (ranks().rank() == 1 ? 0 : 1)));
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("rank 1"), std::string::npos) << error.what();
  }
}

// Last: the work is over after it.
TEST(ProcessesEnd, OneRankEndsTheWorkOfAll) {
  if (ranks().rank() == ranks().size() - 1) ranks().abort("had enough");
  std::string message;
  try {
    std::vector<float> values(1000);
    for (int i = 0; i < 1000000; ++i)
      ranks().finish_sum(ranks().start_sum(values, train::WireType::kFp32, train::kPeerPatience));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kPeer);
    message = error.what();
  }
  EXPECT_NE(message.find(fmt::format("rank {}", ranks().size() - 1)), std::string::npos) << message;
  EXPECT_NE(message.find("had enough"), std::string::npos) << message;
  EXPECT_EQ(processes->tells(), ranks().rank() == 0);
  EXPECT_FALSE(processes->tells());
}

}  // namespace
}  // namespace fabula::cluster

int main(int argc, char** argv) {
  using namespace fabula;
  testing::InitGoogleTest(&argc, argv);
  const auto launch = cluster::launch_of([](const char* name) { return environment(name); });
  if (!launch) {
    fmt::print(stderr, "start it with mpirun -n 2\n");
    return 1;
  }
  cluster::processes = cluster::join_processes(*launch);
  const int status = RUN_ALL_TESTS();
  cluster::processes->give_up(status);
  return status;
}
