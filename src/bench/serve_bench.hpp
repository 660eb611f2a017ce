#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "formats/table.hpp"
#include "graph/types.hpp"
#include "vk/device.hpp"

namespace fabula::bench {

struct ServeBenchOptions {
  std::vector<std::int64_t> streams = {1, 8, 32};  ///< clients at once
  std::int64_t tokens = 128;                       ///< that each of them is written
  std::int64_t prompt = 16;                        ///< tokens
  int repeats = 3;                                 ///< of each row, the median is told
};

/// A server in this process and clients that stream from it over loopback: a row a number of clients, with the tokens/s
/// of all, the slowest beside the fastest, and the first byte; for one client beside the same session without a server.
/// Throws kInvalidArgument for what the model's context does not hold, kInternal for a stream that is cut short.
Table bench_serve(const vk::DeviceOptions& device, const std::filesystem::path& run, const ServeBenchOptions& options);

}  // namespace fabula::bench
