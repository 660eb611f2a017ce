#include <algorithm>
#include <set>
#include <tuple>

#include "graph/self_test.hpp"

namespace fabula::graph {
namespace {

constexpr std::int64_t kFewestRows = 64;
constexpr double kOwnCaseWork = 4e6;  // flops and bytes of an op's own case: what its reference does in milliseconds

bool includes(const std::vector<vk::KernelKey>& all, const std::vector<vk::KernelKey>& some) {
  return std::all_of(some.begin(), some.end(), [&](const vk::KernelKey& kernel) {
    return std::find(all.begin(), all.end(), kernel) != all.end();
  });
}

std::int64_t largest_extent(const NodeView& node) {
  std::int64_t most = 1;
  for (std::size_t i = 0; i < node.input_count(); ++i)
    if (node.has_input(i)) most = std::max({most, node.in(i).rows, node.in(i).cols});
  return most;
}

std::optional<SizedCase> sized_like(const SelfTestNode& subject, const vk::DeviceProfile& profile) {
  const OpEntry& op = *subject.node->op;
  if (op.def->sized == nullptr) return std::nullopt;
  const NodeView view(*subject.graph, *subject.node);
  const std::int64_t most = largest_extent(view);
  for (std::int64_t rows = kFewestRows;; rows *= 4) {
    std::optional<SizedCase> sized = op.def->sized(view, rows);
    if (!sized) return sized;
    if (includes(kernels_of_case(profile, subject.graph->table(), op, sized->launch, subject.variant), subject.kernels))
      return sized;
    if (rows >= most) return std::nullopt;
  }
}

bool has_alike(const std::vector<vk::KernelKey>& all, const vk::KernelKey& kernel) {
  return std::any_of(all.begin(), all.end(), [&](const vk::KernelKey& other) {
    return other.shader == kernel.shader && other.types == kernel.types;
  });
}

/// How near a case comes to kernels: those of them that it has, those that differ in their constants alone, and its
/// work, the more the better within a bound.
using Nearness = std::tuple<std::int64_t, std::int64_t, double>;

Nearness nearness(const std::vector<vk::KernelKey>& kernels, const std::vector<vk::KernelKey>& of_case, double work) {
  std::int64_t same = 0, alike = 0;
  for (const vk::KernelKey& kernel : kernels) {
    same += std::find(of_case.begin(), of_case.end(), kernel) != of_case.end();
    alike += has_alike(of_case, kernel);
  }
  return {same, alike, work <= kOwnCaseWork ? work : -work};
}

struct OwnCase {
  SizedCase sized;
  std::vector<vk::KernelKey> kernels;
};

std::optional<OwnCase> nearest_own_case(const SelfTestNode& subject, const vk::DeviceProfile& profile) {
  const OpEntry& op = *subject.node->op;
  const OpTable& table = subject.graph->table();
  std::optional<OwnCase> best;
  Nearness nearest{0, 0, 0};
  for (OpCase& own : cases_of(op)) {
    if (own.large) continue;
    std::vector<vk::KernelKey> kernels = kernels_of_case(profile, table, op, own, subject.variant);
    const Cost cost = cost_of_case(table, op, own);
    const Nearness near = nearness(subject.kernels, kernels, cost.flops + cost.bytes);
    if (std::get<0>(near) + std::get<1>(near) == 0 || (best && near <= nearest)) continue;
    nearest = near;
    best = OwnCase{{.launch = std::move(own)}, std::move(kernels)};
  }
  return best;
}

/// Takes those of the kernels that the case launches; where it launches none, those that differ in their constants
/// alone.
std::vector<vk::KernelKey> take_reached(std::vector<vk::KernelKey>& kernels, const OwnCase& by, vk::Verdict& worth) {
  const auto launched = [&](const vk::KernelKey& kernel) { return includes(by.kernels, {kernel}); };
  const auto alike = [&](const vk::KernelKey& kernel) { return has_alike(by.kernels, kernel); };
  std::vector<vk::KernelKey> reached;
  worth = std::any_of(kernels.begin(), kernels.end(), launched) ? vk::Verdict::kHolds : vk::Verdict::kAlike;
  const auto is_reached = [&](const vk::KernelKey& kernel) {
    return worth == vk::Verdict::kHolds ? launched(kernel) : alike(kernel);
  };
  std::copy_if(kernels.begin(), kernels.end(), std::back_inserter(reached), is_reached);
  std::erase_if(kernels, is_reached);
  return reached;
}

}  // namespace

std::vector<SelfTestNode> self_test_nodes(const Graph& graph, const Node& node, const vk::DeviceProfile& profile,
                                          const std::string& variant, std::vector<vk::KernelKey> kernels) {
  SelfTestNode open{.graph = &graph, .node = &node, .variant = variant, .kernels = std::move(kernels), .by = {}};
  open.by = sized_like(open, profile);
  if (open.by) {
    open.own_sizes = true;
    open.worth = vk::Verdict::kHolds;
    return {std::move(open)};
  }
  std::vector<SelfTestNode> subjects;
  while (!open.kernels.empty()) {
    std::optional<OwnCase> own = nearest_own_case(open, profile);
    SelfTestNode subject = open;
    if (own) {
      subject.kernels = take_reached(open.kernels, *own, subject.worth);
      subject.by = std::move(own->sized);
    } else {
      open.kernels.clear();
    }
    subjects.push_back(std::move(subject));
  }
  return subjects;
}

std::vector<SelfTestNode> self_test_nodes(const Workload& workload,
                                          const std::function<bool(const vk::KernelKey&)>& is_known) {
  std::vector<SelfTestNode> subjects;
  std::set<vk::KernelKey> known, open;
  for (const PlannedGraph& planned : workload.graphs()) {
    std::map<std::int32_t, std::vector<vk::KernelKey>> by_node;
    for (const Step& step : planned.program.steps) {
      if (step.shader.empty()) continue;
      vk::KernelKey kernel = kernel_of(step);
      if (known.contains(kernel) || open.contains(kernel)) continue;
      if (is_known(kernel)) {
        known.insert(std::move(kernel));
        continue;
      }
      open.insert(kernel);
      by_node[step.node].push_back(std::move(kernel));
    }
    for (auto& [n, kernels] : by_node) {
      const auto number = static_cast<std::size_t>(n);
      for (SelfTestNode& subject : self_test_nodes(planned.graph, planned.graph.nodes()[number], workload.profile(),
                                                   planned.program.variants[number], std::move(kernels)))
        subjects.push_back(std::move(subject));
    }
  }
  return subjects;
}

}  // namespace fabula::graph
