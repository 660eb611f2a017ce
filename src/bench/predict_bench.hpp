#pragma once
#include <cstdint>
#include <optional>

#include "formats/run_config.hpp"
#include "formats/table.hpp"
#include "tuning/device_speed.hpp"
#include "vk/device.hpp"

namespace fabula::bench {

struct PredictBenchOptions {
  std::optional<tuning::DeviceSpeed> speed;  ///< of this device; absent: measured now
  int steps = 5;                             ///< measured, after two to warm up
  std::int64_t context = 0;                  ///< tokens that a text has when a token is timed; 0: half of the model's
};

/// Predicted and measured side by side, for the config's own head: a training step, a decoded token of one text, and
/// the memory that each takes. What does not fit says so.
Table bench_predict(const vk::DeviceOptions& device, const RunConfig& config, const PredictBenchOptions& options);

}  // namespace fabula::bench
