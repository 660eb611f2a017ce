#pragma once
#include <filesystem>
#include <string>

#include "formats/run_config.hpp"
#include "formats/table.hpp"
#include "vk/device.hpp"

namespace fabula::bench {

struct TrainBenchOptions {
  int steps = 10;                ///< measured, after two to warm up
  std::string filter;            ///< only heads whose name contains this
  std::filesystem::path tokens;  ///< a token file to take batches from; empty: random ids
};

/// Whole training steps (forward, backward, clipping as configured, optimizer), dropout as configured; one row a head,
/// the body the same. Medians; "idle %" is the time without any kernel between two steps, "submissions" those that a
/// step goes out in. A head that does not fit the device's memory says so in its row. Throws kInvalidArgument for a
/// filter that no head has in its name.
Table bench_train(const vk::DeviceOptions& device, const RunConfig& config, const TrainBenchOptions& options);

}  // namespace fabula::bench
