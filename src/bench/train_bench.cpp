#include "bench/train_bench.hpp"

#include <algorithm>
#include <map>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "bench/head_list.hpp"
#include "bench/machine.hpp"
#include "bench/step_bench.hpp"

namespace fabula::bench {
namespace {

/// One op's share of a step.
struct OpShare {
  std::vector<double> seconds;  ///< by step
  int launches = 0;
  graph::Cost cost;
};

/// "h.3/matmul:matmul_merge" is of the op matmul.
std::string op_of(const std::string& label) {
  const std::size_t slash = label.rfind('/');
  const std::string name = slash == std::string::npos ? label : label.substr(slash + 1);
  return name.substr(0, name.find(':'));
}

std::vector<std::string> measure(const vk::DeviceOptions& options, const RunConfig& config, const std::string& name,
                                 int steps) {
  const std::unique_ptr<vk::Device> device = vk::Device::open(options);  // one a head: peaks are then its own
  StepBench bench(*device, config);
  const double seconds = median_seconds(name, steps, [&](std::int64_t number) { return bench.step(number); });
  return {name, fmt::format("{:.2f}", 1e-6 * double(bench.model().parameter_count())),
          fmt::format("{:.2f}", 1e3 * seconds), fmt::format("{:.0f}", double(bench.tokens()) / seconds),
          fmt::format("{}", device->peak_allocated() >> 20)};
}

}  // namespace

Table profile_train(const vk::DeviceOptions& options, const RunConfig& config, const TrainBenchOptions& bench_options) {
  const std::unique_ptr<vk::Device> device = vk::Device::open(options);
  if (!device->profile().features.timestamps)
    fail(ErrorCode::kUnsupported, "{} has no timestamps: no profile", device->profile().name);
  StepBench bench(*device, config, {}, nullptr, true);
  std::map<std::string, OpShare> shares;
  for (const std::size_t g : bench.graphs()) {
    const graph::Graph& graph = bench.runtime().workload().graphs()[g].graph;
    for (const graph::Node& node : graph.nodes()) {
      const graph::Cost cost = graph::cost_of(graph, node);
      graph::Cost& sum = shares[std::string(node.op->def->name)].cost;
      sum.flops += cost.flops;
      sum.bytes += cost.bytes;
    }
  }
  std::vector<double> totals;
  for (int number = 1; number <= bench_options.steps + kWarmUpSteps; ++number) {
    bench.step(number);
    if (number <= kWarmUpSteps) continue;
    std::map<std::string, double> seconds;
    double total = 0;
    for (auto& [name, share] : shares) share.launches = 0;
    for (const std::size_t g : bench.graphs()) {
      for (const vk::CommandList::Timing& timing : bench.runtime().timings(g)) {
        seconds[op_of(timing.label)] += timing.seconds;
        ++shares[op_of(timing.label)].launches;
        total += timing.seconds;
      }
    }
    for (const auto& [name, s] : seconds) shares[name].seconds.push_back(s);
    totals.push_back(total);
  }
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [name, share] : shares)
    if (!share.seconds.empty()) order.emplace_back(-median(share.seconds), name);
  std::sort(order.begin(), order.end());
  Table table{{"op", "launches", "ms", "share", "GFLOP/s", "GB/s"}, {}, machine_notes(*device)};
  table.notes.push_back(fmt::format("kernels take {:.2f} ms of a step", 1e3 * median(totals)));
  for (const auto& [negative, name] : order) {
    const OpShare& share = shares.at(name);
    table.rows.push_back({name, std::to_string(share.launches), fmt::format("{:.3f}", -1e3 * negative),
                          fmt::format("{:.1f} %", -100 * negative / median(totals)),
                          fmt::format("{:.0f}", -1e-9 * share.cost.flops / negative),
                          fmt::format("{:.0f}", -1e-9 * share.cost.bytes / negative)});
  }
  return table;
}

Table bench_train(const vk::DeviceOptions& device, const RunConfig& config, const TrainBenchOptions& options) {
  Table table{{"head", "M parameters", "ms/step", "tokens/s", "peak MiB"}, {}, {}};
  table.notes = machine_notes(*vk::Device::open(device));
  table.notes.push_back(fmt::format("{} layers, hidden {}, {} heads, {} tokens, batch {} x {}, fp32",
                                    config.model.layers, config.model.hidden, config.model.heads,
                                    config.model.vocab_size, config.train.batch_size, train::sequence_length(config)));
  for (const HeadVariant& head : head_variants(config)) {
    if (head.name != kGrouped && head.name != kFullTied) continue;
    if (head.name.find(options.filter) == std::string::npos) continue;
    try {
      table.rows.push_back(measure(device, head.config, head.name, options.steps));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutOfMemory) throw;
      info("{}: {}", head.name, error.what());
      table.rows.push_back({head.name, "", "does not fit", "", ""});
    }
  }
  return table;
}

}  // namespace fabula::bench
