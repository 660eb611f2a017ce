#pragma once
#include "formats/run_config.hpp"
#include "formats/table.hpp"
#include "vk/device.hpp"

namespace fabula::bench {

struct ProfileOptions {
  int steps = 10;      ///< measured, after two to warm up
  bool by_op = false;  ///< one row an op; else one row a kernel of an op
};

/// Where the time of one training step of a config goes: device timestamps, medians over steps, with the rates that the
/// ops' own counts of operations and bytes give, in percent of what this device reached in measure_roof. Every kernel
/// runs alone here. Throws kUnsupported on a device without timestamps.
Table profile_train(const vk::DeviceOptions& device, const RunConfig& config, const ProfileOptions& options);

/// Throws kUnsupported where there can be no profile.
void require_timestamps(const vk::Device& device);

}  // namespace fabula::bench
