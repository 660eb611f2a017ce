#include "bench/roof.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/fail.hpp"
#include "graph/op.hpp"

namespace fabula::bench {
namespace {

constexpr int kRuns = 8;                 // the first ones warm up; the best counts
constexpr std::uint32_t kLocal = 128;    // invocations a workgroup
constexpr std::uint32_t kRounds = 2048;  // of roof_fma.comp
constexpr double kFlopsARound = 16;      // likewise
constexpr std::uint64_t kSoftwareBytes = 32ull << 20, kDeviceBytes = 1ull << 30;  // of a copy

template <class Push>
std::vector<std::byte> bytes_of(const Push& push) {
  std::vector<std::byte> bytes(sizeof push);
  std::memcpy(bytes.data(), &push, sizeof push);
  return bytes;
}

/// Seconds of one launch, the best of some runs; by the device's clock where it has one.
double best_seconds(vk::Device& device, const vk::DispatchCall& call) {
  using Clock = std::chrono::steady_clock;
  vk::CommandList list = device.new_list({.label = call.label, .timed = true});
  list.dispatch(call);
  list.end();
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = Clock::now();
    device.run(list);
    double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (const auto timings = list.timings(); !timings.empty()) seconds = timings.front().seconds;
    best = run == 0 ? seconds : std::min(best, seconds);
  }
  return std::max(best, 1e-9);
}

double measure_flops(vk::Device& device, bool software) {
  const vk::Buffer sink = device.allocate(16, vk::MemoryUse::kDevice, "roof sink");
  struct {
    float factor = 0.999f, term = 0.001f;
  } push;
  const std::uint32_t groups = software ? 512 : 16384;
  const vk::DispatchCall call{.pipeline = device.pipeline({"roof_fma", {kLocal, kRounds}, 0}),
                              .bindings = {{&sink, 0, 16}},
                              .push = bytes_of(push),
                              .groups = {groups, 1, 1},
                              .label = "roof_fma"};
  return kFlopsARound * kRounds * kLocal * groups / best_seconds(device, call);
}

double measure_bytes(vk::Device& device, bool software) {
  const vk::Limits& limits = device.profile().limits;
  const std::uint64_t bytes = std::min({software ? kSoftwareBytes : kDeviceBytes, limits.max_storage_range,
                                        limits.max_allocation, device.info().usable_memory() / 8}) /
                              256 * 256;
  ensure(bytes > 0, "no memory to measure its speed with");
  const vk::Buffer from = device.allocate(bytes, vk::MemoryUse::kDevice, "roof source"),
                   to = device.allocate(bytes, vk::MemoryUse::kDevice, "roof target");
  const auto vec4s = static_cast<std::uint32_t>(bytes / 16);
  const vk::DispatchCall call{.pipeline = device.pipeline({"roof_copy", {}, 0}),
                              .bindings = {{&from, 0, bytes}, {&to, 0, bytes}},
                              .push = bytes_of(vec4s),
                              .groups = graph::LowerCall::grid((vec4s + kLocal - 1) / kLocal),
                              .label = "roof_copy"};
  return 2.0 * static_cast<double>(bytes) / best_seconds(device, call);
}

}  // namespace

double Roof::seconds(double work_flops, double work_bytes) const {
  return std::max(work_flops / flops, work_bytes / bytes);
}
bool Roof::bound_by_memory(double work_flops, double work_bytes) const {
  return work_bytes / bytes > work_flops / flops;
}

Roof measure_roof(vk::Device& device) {
  const bool software = device.profile().device_class == vk::DeviceClass::kSoftware;
  return {.flops = measure_flops(device, software), .bytes = measure_bytes(device, software)};
}

}  // namespace fabula::bench
