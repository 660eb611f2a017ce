#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "formats/run_config.hpp"
#include "formats/table.hpp"
#include "vk/device.hpp"

namespace fabula::bench {

struct HeadBenchOptions {
  int steps = 0;                              ///< measured, after the warm-up; 0: 5, on a software device 3
  std::vector<std::int64_t> vocabularies;     ///< empty: the config's, or the token files'
  std::vector<std::int64_t> group_sizes;      ///< rows of the paper's head with groups of S, behind the others
  std::vector<std::string> heads;             ///< parts of names; empty: all
  std::vector<std::filesystem::path> tokens;  ///< token files: their ids, vocabularies and maps; empty: random ids
};

/// Every head of head_variants on one body: memory of a training step from the plan, as allocated and as the driver
/// counts it, memory of the head alone, tokens/s of both. What would not fit is not allocated, and says so in its row.
/// The config needs its vocab_size. Throws kInvalidArgument for group sizes, names or files that do not go with it.
Table bench_heads(const vk::DeviceOptions& device, const RunConfig& config, const HeadBenchOptions& options);

}  // namespace fabula::bench
