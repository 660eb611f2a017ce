#include "bench/kernel_shares.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "base/median.hpp"

namespace fabula::bench {
namespace {

std::string kernel_name(const graph::Step& step) {
  return step.shader.empty() ? "(clear)" : step.shader;
}

double bound_bytes(const graph::Step& step) {
  double bytes = 0;
  for (const graph::Range& range : step.bindings) bytes += static_cast<double>(range.size);
  return bytes;
}

/// Kernels of a decode step take microseconds.
std::string share_milliseconds(double seconds) {
  return seconds < 1e-3 ? fmt::format("{:.4f}", 1e3 * seconds) : fmt::format("{:.3f}", 1e3 * seconds);
}

std::string giga(double a_second) {
  return fmt::format("{:.{}f}", 1e-9 * a_second, a_second < 1e10 ? 2 : 0);
}

}  // namespace

KernelShares::KernelShares(const graph::Runtime& runtime, std::map<std::size_t, int> runs, bool by_op, CostOf cost_of)
    : runtime_(runtime), runs_(std::move(runs)), by_op_(by_op), cost_of_(std::move(cost_of)) {}

void KernelShares::add_step() {
  std::map<RowName, double> seconds;
  double total = 0;
  for (const auto& [graph, runs] : runs_) {
    const graph::PlannedGraph& planned = runtime_.workload().graphs()[graph];
    const std::vector<vk::CommandList::Timing> timings = runtime_.timings(graph);
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

double KernelShares::seconds() const {
  return median(totals_);
}

KernelShares::RowName KernelShares::row_of(const graph::PlannedGraph& planned, const graph::Step& step) const {
  const std::string op(planned.graph.nodes()[static_cast<std::size_t>(step.node)].op->def->name);
  return {by_op_ ? "" : kernel_name(step), op};
}

/// Of an op with several kernels each takes operations by its share of the time; the longest takes the op's bytes,
/// the others (partial sums, merges) move what they bind.
void KernelShares::count_work(const graph::PlannedGraph& planned, const std::vector<vk::CommandList::Timing>& timings,
                              int runs) {
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
    const graph::Cost cost = cost_of_(planned.graph, node);
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

std::vector<std::string> KernelShares::row_text(const RowName& name, const Share& share, const Roof& roof) const {
  const double time = std::max(median(share.seconds), 1e-9);  // a clock may tick more slowly
  const auto [flops, bytes] = share.cost;
  return {name.first,
          name.second,
          std::to_string(share.launches),
          share_milliseconds(time),
          fmt::format("{:.1f}", 100 * time / seconds()),
          giga(flops / time),
          giga(bytes / time),
          fmt::format("{:.0f}", 100 * roof.seconds(flops, bytes) / time),
          roof.bound_by_memory(flops, bytes) ? "memory" : "arithmetic"};
}

Table KernelShares::table(const Roof& roof) const {
  Table table{{"kernel", "op", "launches", "ms", "% of step", "GFLOP/s", "GB/s", "% of roof", "roof"}, {}, {}};
  std::vector<std::pair<double, RowName>> order;
  for (const auto& [name, share] : shares_) order.emplace_back(-median(share.seconds), name);
  std::sort(order.begin(), order.end());
  for (const auto& [time, name] : order) table.rows.push_back(row_text(name, shares_.at(name), roof));
  if (by_op_) {
    table.columns.erase(table.columns.begin());
    for (auto& row : table.rows) row.erase(row.begin());
  }
  return table;
}

void add_roof_notes(std::vector<std::string>& notes, const Roof& roof) {
  notes.push_back(fmt::format(
      "roof of this device, measured now: {:.1f} GFLOP/s fp32 from registers, {:.1f} GB/s copied (read and written)",
      1e-9 * roof.flops, 1e-9 * roof.bytes));
  notes.push_back(
      "GFLOP/s and GB/s by the ops' counts: inputs read once and outputs written once, attention by the pairs that its "
      "causal or local mask lets through; % of roof: of the nearer bound, above 100 where caches serve");
}

}  // namespace fabula::bench
