#include "bench/profile.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "base/fail.hpp"
#include "bench/machine.hpp"
#include "bench/roof.hpp"
#include "bench/step_bench.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::bench {
namespace {

/// A row of the table.
struct Share {
  std::vector<double> seconds;  ///< by step
  int launches = 0;             ///< a step
  graph::Cost cost;             ///< a step
};

using RowName = std::pair<std::string, std::string>;  // kernel (empty: all of the op), op

std::string kernel_name(const graph::Step& step) {
  return step.shader.empty() ? "(clear)" : step.shader;
}

double bound_bytes(const graph::Step& step) {
  double bytes = 0;
  for (const graph::Range& range : step.bindings) bytes += static_cast<double>(range.size);
  return bytes;
}

/// What a step of the run is made of: its graphs and how often each runs.
class StepProfile {
 public:
  StepProfile(const StepBench& bench, const RunConfig& config, bool by_op) : bench_(bench), by_op_(by_op) {
    const train::TrainingGraphs& graphs = bench.graphs();
    graphs_[graphs.overwrite.index] = 1;
    if (graphs.accumulates()) graphs_[graphs.accumulate.index] = static_cast<int>(config.train.grad_accumulation) - 1;
    graphs_[graphs.apply] = 1;
  }

  /// Takes the times of the step just run.
  void add_step() {
    std::map<RowName, double> seconds;
    double total = 0;
    for (const auto& [graph, runs] : graphs_) {
      const graph::PlannedGraph& planned = bench_.runtime().workload().graphs()[graph];
      const std::vector<vk::CommandList::Timing> timings = bench_.runtime().timings(graph);
      ensure(timings.size() == planned.program.steps.size(), "{} timings of {} launches", timings.size(),
             planned.program.steps.size());
      if (totals_.empty()) count_work(planned, timings, runs);
      for (std::size_t i = 0; i < timings.size(); ++i) {
        seconds[row_of(planned, planned.program.steps[i])] += runs * timings[i].seconds;
        total += runs * timings[i].seconds;
      }
    }
    for (const auto& [name, s] : seconds) shares_[name].seconds.push_back(s);
    totals_.push_back(total);
  }

  double seconds() const { return median(totals_); }
  const std::map<RowName, Share>& shares() const { return shares_; }

 private:
  RowName row_of(const graph::PlannedGraph& planned, const graph::Step& step) const {
    const std::string op(planned.graph.nodes()[static_cast<std::size_t>(step.node)].op->def->name);
    return {by_op_ ? "" : kernel_name(step), op};
  }

  /// Of an op with several kernels each takes operations by its share of the time; the longest takes the op's bytes,
  /// the others (partial sums, merges) move what they bind.
  void count_work(const graph::PlannedGraph& planned, const std::vector<vk::CommandList::Timing>& timings, int runs) {
    const std::vector<graph::Step>& steps = planned.program.steps;
    for (std::size_t begin = 0, end = 0; begin < steps.size(); begin = end) {
      std::map<std::string, double> seconds;
      double all = 0;
      for (; end < steps.size() && steps[end].node == steps[begin].node; ++end) {
        seconds[kernel_name(steps[end])] += timings[end].seconds;
        all += timings[end].seconds;
      }
      const auto longest = std::max_element(seconds.begin(), seconds.end(),
                                            [](const auto& a, const auto& b) { return a.second < b.second; });
      const graph::Node& node = planned.graph.nodes()[static_cast<std::size_t>(steps[begin].node)];
      const graph::Cost cost = graph::cost_of(planned.graph, node);
      bool counted = false;
      for (std::size_t i = begin; i < end; ++i) {
        Share& share = shares_[row_of(planned, steps[i])];
        share.launches += runs;
        share.cost.flops += runs * cost.flops * (all > 0 ? timings[i].seconds / all : 0);
        if (!by_op_ && kernel_name(steps[i]) != longest->first)
          share.cost.bytes += runs * bound_bytes(steps[i]);
        else if (!std::exchange(counted, true))
          share.cost.bytes += runs * cost.bytes;
      }
    }
  }

  const StepBench& bench_;
  bool by_op_;
  std::map<std::size_t, int> graphs_;  ///< runs a step
  std::map<RowName, Share> shares_;
  std::vector<double> totals_;  ///< by step
};

std::vector<std::string> row_text(const RowName& name, const Share& share, double total, const Roof& roof) {
  const double seconds = std::max(median(share.seconds), 1e-9);  // a clock may tick more slowly
  const auto [flops, bytes] = share.cost;
  return {name.first,
          name.second,
          std::to_string(share.launches),
          fmt::format("{:.3f}", 1e3 * seconds),
          fmt::format("{:.1f}", 100 * seconds / total),
          fmt::format("{:.0f}", 1e-9 * flops / seconds),
          fmt::format("{:.0f}", 1e-9 * bytes / seconds),
          fmt::format("{:.0f}", 100 * roof.seconds(flops, bytes) / seconds),
          roof.bound_by_memory(flops, bytes) ? "memory" : "arithmetic"};
}

}  // namespace

Table profile_train(const vk::DeviceOptions& device_options, const RunConfig& config, const ProfileOptions& options) {
  const auto [device, choices] = tuning::open_tuned_device(device_options);
  if (!device->profile().features.timestamps)
    fail(ErrorCode::kUnsupported, "{} has no timestamps: no profile", device->profile().name);
  const Roof roof = measure_roof(*device);
  StepBench bench(*device, choices, config, {}, nullptr, true);
  StepProfile profile(bench, config, options.by_op);
  for (int number = 1; number <= options.steps + kWarmUpSteps; ++number) {
    bench.step();
    if (number > kWarmUpSteps) profile.add_step();
  }
  Table table{{"kernel", "op", "launches", "ms", "% of step", "GFLOP/s", "GB/s", "% of roof", "roof"},
              {},
              machine_notes(*device, choices)};
  table.notes.push_back(fmt::format(
      "roof of this device, measured now: {:.1f} GFLOP/s fp32 from registers, {:.1f} GB/s copied (read and written)",
      1e-9 * roof.flops, 1e-9 * roof.bytes));
  table.notes.push_back(
      "GFLOP/s and GB/s by the ops' counts: inputs read once and outputs written once, attention by the pairs that its "
      "causal or local mask lets through; % of roof: of the nearer bound, above 100 where caches serve");
  table.notes.push_back(fmt::format("kernels take {:.2f} ms of a step, each run alone", 1e3 * profile.seconds()));
  std::vector<std::pair<double, RowName>> order;
  for (const auto& [name, share] : profile.shares()) order.emplace_back(-median(share.seconds), name);
  std::sort(order.begin(), order.end());
  for (const auto& [time, name] : order)
    table.rows.push_back(row_text(name, profile.shares().at(name), profile.seconds(), roof));
  if (options.by_op) {
    table.columns.erase(table.columns.begin());
    for (auto& row : table.rows) row.erase(row.begin());
  }
  return table;
}

}  // namespace fabula::bench
