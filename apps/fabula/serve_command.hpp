#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "bench/serve_bench.hpp"
#include "vk/device.hpp"

namespace fabula::app {

struct ServeArgs {
  std::vector<std::string> models;  ///< RUN or NAME=RUN
  std::string end_token, cache = "fp32", weights = "stored";
  std::string host = "127.0.0.1";
  int port = 8080;
  std::int64_t slots = 8, context = 0, queue = 64;
  std::int64_t max_body = 1 << 20;  ///< bytes
  double grace = 10;                ///< seconds
  std::string api_key, api_key_file;
  std::vector<std::string> origins;
  std::string chat = "join";
  bool strict_model = false, cap_max_tokens = false;
  vk::DeviceOptions device;
};
int serve(const ServeArgs& args);

struct BenchServeArgs {
  std::string run, format = "md";
  bench::ServeBenchOptions options;
  vk::DeviceOptions device;
};
int bench_serve(const BenchServeArgs& args);

}  // namespace fabula::app
