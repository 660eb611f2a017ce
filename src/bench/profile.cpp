#include "bench/profile.hpp"

#include "base/fail.hpp"
#include "bench/kernel_shares.hpp"
#include "bench/machine.hpp"
#include "bench/roof.hpp"
#include "bench/step_bench.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::bench {
namespace {

/// What a step of the run is made of: its graphs and how often each runs.
std::map<std::size_t, int> runs_of(const train::TrainingGraphs& graphs, const RunConfig& config) {
  std::map<std::size_t, int> runs;
  for (const auto& [graph, count] : train::runs_of_step(graphs, config.train.grad_accumulation))
    runs[graph] = static_cast<int>(count);
  return runs;
}

}  // namespace

void require_timestamps(const vk::Device& device) {
  if (!device.profile().features.timestamps)
    fail(ErrorCode::kUnsupported, "{} has no timestamps: no profile", device.profile().name);
}

Table profile_train(const vk::DeviceOptions& device_options, const RunConfig& config, const ProfileOptions& options) {
  const auto [device, choices] = tuning::open_tuned_device(device_options);
  require_timestamps(*device);
  const Roof roof = measure_roof(*device);
  StepBench bench(*device, choices, config, {}, nullptr, true);
  KernelShares shares(bench.runtime(), runs_of(bench.graphs(), config), options.by_op);
  for (int number = 1; number <= options.steps + kWarmUpSteps; ++number) {
    bench.step();
    if (number > kWarmUpSteps) shares.add_step();
  }
  Table table = shares.table(roof);
  table.notes = machine_notes(*device, choices);
  add_roof_notes(table.notes, roof);
  table.notes.push_back(fmt::format("kernels take {:.2f} ms of a step, each run alone", 1e3 * shares.seconds()));
  return table;
}

}  // namespace fabula::bench
