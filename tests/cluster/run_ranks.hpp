#pragma once
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "cluster/thread_world.hpp"

namespace fabula::test {

/// What became of a rank: nothing, or its error.
struct RankEnd {
  std::string error;
  ErrorCode code = ErrorCode::kInternal;
};

/// Runs `work` on a thread a rank; a rank that has thrown is destroyed with its thread.
inline std::vector<RankEnd> run_ranks(int size, const std::function<void(train::Reducer&)>& work) {
  std::vector<std::unique_ptr<train::Reducer>> world = cluster::thread_world(size);
  std::vector<RankEnd> ends(world.size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < world.size(); ++r)
    threads.emplace_back([&, r] {
      const std::unique_ptr<train::Reducer> rank = std::move(world[r]);
      try {
        work(*rank);
      } catch (const Error& error) {
        ends[r] = {error.what(), error.code()};
      } catch (const std::exception& error) {
        ends[r] = {error.what(), ErrorCode::kInternal};
      }
    });
  for (std::thread& thread : threads) thread.join();
  return ends;
}

}  // namespace fabula::test
