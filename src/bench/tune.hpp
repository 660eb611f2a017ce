#pragma once
#include "formats/run_config.hpp"
#include "formats/table.hpp"
#include "formats/tune_file.hpp"
#include "vk/device.hpp"

namespace fabula::bench {

struct TuneOptions {
  int steps = 5;  ///< measured with each variant, after two to warm up
};

struct TuneResult {
  Table table;       ///< a row for each node shape that has a choice
  TuneFile file;     ///< all of them, for this device
  std::string gain;  ///< what a training step gained, in a line
};

/// Measures every kernel variant that the device can run for each distinct node of a config's gradient and evaluation
/// graphs: whole steps are run with each variant in its turn, and every kernel timed in its place. A variant is chosen
/// over the one that would be taken anyway only when it is clearly faster, and those of training steps are kept only
/// when whole steps are faster with them. Throws kUnsupported on a device without timestamps.
TuneResult tune(vk::Device& device, const RunConfig& config, const TuneOptions& options);

}  // namespace fabula::bench
