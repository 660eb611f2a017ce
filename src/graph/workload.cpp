#include "graph/workload.hpp"

#include <algorithm>
#include <numeric>

#include "base/ceil_div.hpp"
#include "base/fail.hpp"
#include "base/hash.hpp"
#include "graph/fuse.hpp"

namespace fabula::graph {
namespace {
std::uint64_t sum(const std::vector<std::uint64_t>& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
}
}  // namespace

Workload::Workload(Target target, std::string variant)
    : target_(std::move(target)),
      variant_(std::move(variant)),
      store_(profile().limits.max_allocation, memory_alignment(profile().limits)) {}

std::size_t Workload::add(std::string name, Graph graph) {
  fuse(graph);
  return plan(std::move(name), std::move(graph));
}

Workload Workload::with_faults(const vk::KernelFaults& faults) const {
  Target target = target_;
  target.profile.faults = faults;
  Workload again(std::move(target), variant_);
  for (const PlannedGraph& planned : graphs_) again.plan(planned.name, planned.graph);
  return again;
}

std::size_t Workload::plan(std::string name, Graph graph) {
  PlannedGraph planned{std::move(name), std::move(graph), {}, {}, 0, {}};
  const std::uint64_t alignment = memory_alignment(profile().limits);
  LinearLayout inputs(profile().limits.max_allocation, alignment);
  const auto place = [&](Value, const ValueInfo& info) {
    if (info.role == Role::kInput) return inputs.place(Pool::kInputs, info.name, info.shape);
    const auto it = stored_.find(info.name);
    if (it != stored_.end()) {
      const Stored& there = it->second;
      ensure(there.shape == info.shape && there.shape.dtype == info.shape.dtype && there.role == info.role,
             "graph \"{}\" has \"{}\" as {} {}, graph \"{}\" as {} {}", there.graph, info.name, to_string(there.role),
             to_string(there.shape), planned.name, to_string(info.role), to_string(info.shape));
      return there.placement;
    }
    Stored stored{info.shape, info.role, store_.place(Pool::kStore, info.name, info.shape, info.together),
                  planned.name};
    return stored_.emplace(info.name, std::move(stored)).first->second.placement;
  };
  planned.program = lower(planned.graph, target_, {.variant = variant_, .place = place});
  planned.input_blocks = inputs.block_sizes();
  for (std::size_t id = 0; id < planned.graph.values().size(); ++id) {
    const ValueInfo& info = planned.graph.values()[id];
    if (!info.keep) continue;
    planned.kept.emplace_back(Value{static_cast<std::int32_t>(id)}, planned.readback_bytes);
    planned.readback_bytes += round_up(static_cast<std::uint64_t>(info.shape.bytes()), alignment);
  }
  graphs_.push_back(std::move(planned));
  return graphs_.size() - 1;
}

std::vector<std::uint64_t> Workload::arena_blocks() const {
  std::vector<std::uint64_t> blocks;
  for (const PlannedGraph& planned : graphs_) {
    const auto& sizes = planned.program.arena.block_sizes;
    blocks.resize(std::max(blocks.size(), sizes.size()), 0);
    for (std::size_t i = 0; i < sizes.size(); ++i) blocks[i] = std::max(blocks[i], sizes[i]);
  }
  return blocks;
}

MemoryReport Workload::report() const {
  MemoryReport report;
  for (const auto& [name, stored] : stored_) {
    const auto bytes = static_cast<std::uint64_t>(stored.shape.bytes());
    if (stored.role == Role::kParameter)
      report.parameters += bytes;
    else if (stored.role == Role::kConstant)
      report.constants += bytes;
    else if (name.starts_with(kGradientPrefix))
      report.gradients += bytes;
    else if (name.starts_with(kOptimizerPrefix))
      report.optimizer += bytes;
    else if (name.starts_with(kCachePrefix))
      report.caches += bytes;
    else
      report.states += bytes;
  }
  report.activations = sum(arena_blocks());
  for (const PlannedGraph& planned : graphs_) {
    report.inputs += 3 * sum(planned.input_blocks) + 2 * planned.readback_bytes;  // see Runtime: doubled on the host
    const ArenaPlan& arena = planned.program.arena;
    if (arena.live_peak <= report.activations_live || arena.peak_node < 0) continue;
    report.activations_live = arena.live_peak;
    report.peak_graph = planned.name;
    report.peak_node = planned.graph.nodes()[static_cast<std::size_t>(arena.peak_node)].label;
  }
  return report;
}

KernelChoices Workload::kernel_choices() const {
  KernelChoices used;
  if (target_.choices.empty()) return used;
  for (const PlannedGraph& planned : graphs_)
    for (const Node& node : planned.graph.nodes()) {
      const std::string signature = node_signature(planned.graph, node, variants_of(planned.graph, node, profile()));
      const auto choice = target_.choices.find(signature);
      if (choice != target_.choices.end()) used.insert(*choice);
    }
  return used;
}

std::uint64_t Workload::digest(std::span<const std::size_t> graphs) const {
  std::uint64_t digest = kFnvOffset;
  for (const std::size_t graph : graphs)
    digest = fnv1a(&graphs_.at(graph).program.digest, sizeof(Program::digest), digest);
  return digest;
}

}  // namespace fabula::graph
