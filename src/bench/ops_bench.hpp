#pragma once
#include <string>

#include "formats/table.hpp"
#include "vk/device.hpp"

namespace fabula::bench {

struct OpsBenchOptions {
  std::string filter;         ///< only benchmarks whose name contains this
  double seconds = 0.5;       ///< time to spend on each
  bool all_variants = false;  ///< every kernel variant that the device can run, not only the first choice
};

/// Times single ops at the shapes that training meets: GFLOP/s and GB/s, medians. One op is run many times in one
/// recorded list, each run waiting for the one before, so that launch costs count and submission costs do not.
Table bench_ops(vk::Device& device, const OpsBenchOptions& options);

}  // namespace fabula::bench
