#pragma once
#include <string>

#include "bench/table.hpp"
#include "formats/model_config.hpp"
#include "vk/device.hpp"

namespace fabula::bench {

struct TrainBenchOptions {
  int steps = 10;      ///< measured, after two to warm up
  std::string filter;  ///< only heads whose name contains this
};

/// Where the time of one training step goes, by op: device timestamps, medians over steps, with the rate that the op's
/// own count of operations and bytes gives. For the config's head. Throws kUnsupported on a device without timestamps.
Table profile_train(const vk::DeviceOptions& device, const RunConfig& config, const TrainBenchOptions& options);

/// Whole training steps (forward, backward, clipping as configured, optimizer) on random token ids, dropout as
/// configured; one row a head, the body the same. Medians. A head that does not fit the device's memory says so in its
/// row.
Table bench_train(const vk::DeviceOptions& device, const RunConfig& config, const TrainBenchOptions& options);

}  // namespace fabula::bench
