#pragma once
#include <filesystem>

#include "bench/train_bench.hpp"
#include "train/reducer.hpp"

namespace fabula::bench {

struct RankBenchOptions {
  int steps = 10;                  ///< measured, after two to warm up
  std::filesystem::path tokens;    ///< a token file to take batches from; empty: random ids
  std::filesystem::path timeline;  ///< an SVG file of one step of rank 0; empty: none
};

/// Training steps of every rank alone and of all together: tokens/s, efficiency, the bytes of gradients and where their
/// time goes. The config says what each rank computes: its accumulation is one rank's. Medians, of the slowest rank.
/// The table is rank 0's; the others get an empty one. `device`: of this rank.
Table bench_ranks(const vk::DeviceOptions& device, const RunConfig& config, const RankBenchOptions& options,
                  train::Reducer& ranks);

}  // namespace fabula::bench
