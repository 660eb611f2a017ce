#include "bench/roof.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/fail.hpp"
#include "base/median.hpp"
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

std::uint64_t copy_size(const vk::Device& device) {
  const vk::Limits& limits = device.profile().limits;
  const bool software = device.profile().device_class == vk::DeviceClass::kSoftware;
  return std::min({software ? kSoftwareBytes : kDeviceBytes, limits.max_storage_range, limits.max_allocation,
                   device.info().usable_memory() / 8}) /
         256 * 256;
}

/// Two buffers and a kernel that copies one into the other.
class CopyBuffers {
 public:
  CopyBuffers(vk::Device& device, std::uint64_t bytes)
      : bytes_(bytes),
        from_(device.allocate(bytes, vk::MemoryUse::kDevice, "roof source")),
        to_(device.allocate(bytes, vk::MemoryUse::kDevice, "roof target")),
        pipeline_(device.pipeline({"roof_copy", {}, 0})) {}

  vk::DispatchCall call() const {
    const auto vec4s = static_cast<std::uint32_t>(bytes_ / 16);
    return {.pipeline = pipeline_,
            .bindings = {{&from_, 0, bytes_}, {&to_, 0, bytes_}},
            .push = bytes_of(vec4s),
            .groups = graph::LowerCall::grid((vec4s + kLocal - 1) / kLocal),
            .label = "roof_copy"};
  }

 private:
  std::uint64_t bytes_;
  vk::Buffer from_, to_;
  const vk::Pipeline* pipeline_;
};

/// Seconds of a list of so many launches, each of which waits for the one before, on the host's clock; the best of some
/// runs.
double best_row_seconds(vk::Device& device, const vk::DispatchCall& call, int launches) {
  using Clock = std::chrono::steady_clock;
  vk::CommandList list = device.new_list({.label = call.label});
  for (int i = 0; i < launches; ++i) list.dispatch(call);
  list.end();
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = Clock::now();
    device.run(list);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = run == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

double measure_bytes(vk::Device& device) {
  const std::uint64_t bytes = copy_size(device);
  ensure(bytes > 0, "no memory to measure its speed with");
  const CopyBuffers buffers(device, bytes);
  return 2.0 * static_cast<double>(bytes) / best_seconds(device, buffers.call());
}

/// The fewest bytes that are copied: a launch of one workgroup.
constexpr std::uint64_t kOneGroup = kLocal * 16;

}  // namespace

double Roof::seconds(double work_flops, double work_bytes) const {
  return std::max(work_flops / flops, work_bytes / bytes);
}
bool Roof::bound_by_memory(double work_flops, double work_bytes) const {
  return work_bytes / bytes > work_flops / flops;
}

Roof measure_roof(vk::Device& device) {
  const bool software = device.profile().device_class == vk::DeviceClass::kSoftware;
  return {.flops = measure_flops(device, software), .bytes = measure_bytes(device)};
}

FixedCosts measure_fixed_costs(vk::Device& device) {
  constexpr int kRow = 256;
  const CopyBuffers buffers(device, kOneGroup);
  const double one = best_row_seconds(device, buffers.call(), 1),
               row = best_row_seconds(device, buffers.call(), kRow + 1);
  FixedCosts costs;
  costs.launch = std::max((row - one) / kRow, 1e-9);
  costs.submission = std::max(one - costs.launch, 1e-9);
  vk::CommandList list = device.new_list({.label = "roof_copy", .timed = true});
  for (int i = 0; i < kRow; ++i) list.dispatch(buffers.call());
  list.end();
  device.run(list);
  std::vector<double> seconds;
  for (const vk::CommandList::Timing& timing : list.timings()) seconds.push_back(timing.seconds);
  if (!seconds.empty()) costs.timed = median(std::move(seconds));
  return costs;
}

double largest_copy(const vk::Device& device) {
  return 2.0 * static_cast<double>(copy_size(device));
}

double measure_copies(vk::Device& device, double bytes, double launch_seconds) {
  constexpr double kBytesInARow = 256e6;  // so that a submission's cost does not count
  const std::uint64_t size = std::max<std::uint64_t>(static_cast<std::uint64_t>(bytes / 2) / 256 * 256, kOneGroup);
  const double moved = 2.0 * static_cast<double>(size);
  const int row = static_cast<int>(std::clamp(kBytesInARow / moved, 1.0, 512.0));
  const CopyBuffers buffers(device, size);
  const double one = best_row_seconds(device, buffers.call(), 1),
               all = best_row_seconds(device, buffers.call(), row + 1);
  const double each = std::max(all - one, 1e-9) / row;
  return moved / std::max(each - launch_seconds, 0.1 * each);
}

TransferRates measure_transfers(vk::Device& device) {
  using Clock = std::chrono::steady_clock;
  constexpr std::uint64_t kBytes = 16 << 20;
  constexpr int kTransfers = 4;
  const vk::Buffer buffer = device.allocate(kBytes, vk::MemoryUse::kDevice, "transfers");
  std::vector<std::byte> host(kBytes);
  TransferRates best;
  for (int run = 0; run < kTransfers; ++run) {
    const auto start = Clock::now();
    device.upload(buffer, 0, host);
    const auto between = Clock::now();
    device.download(buffer, 0, host);
    const auto rate = [](auto time) {
      return static_cast<double>(kBytes) / std::max(std::chrono::duration<double>(time).count(), 1e-9);
    };
    best.upload = std::max(best.upload, rate(between - start));
    best.download = std::max(best.download, rate(Clock::now() - between));
  }
  return best;
}

}  // namespace fabula::bench
