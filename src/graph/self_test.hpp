#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/check.hpp"
#include "graph/workload.hpp"

// The first time that a device and driver are used for work, the kernels of this work are compared with their
// references: drivers of phones compute some of them wrong.
namespace fabula::graph {

/// A node whose kernels are to be checked, and the case by which.
struct SelfTestNode {
  const Graph* graph = nullptr;
  const Node* node = nullptr;
  std::string variant;
  std::vector<vk::KernelKey> kernels;  ///< those of the node that nothing is known of yet
  std::optional<SizedCase> by;         ///< absent: no case of the op reaches them
  bool own_sizes = false;              ///< `by` is the node itself on fewer rows; else one of the op's own cases
};

/// The case that stands for a node's kernels: the node itself on the fewest rows with which a device takes the same
/// ones, or the op's own case that is nearest.
SelfTestNode self_test_node(const Graph& graph, const Node& node, const vk::DeviceProfile& profile,
                            const std::string& variant, std::vector<vk::KernelKey> kernels);

/// The nodes that stand for all kernels of a workload of which `is_known` does not hold, each kernel once.
std::vector<SelfTestNode> self_test_nodes(const Workload& workload,
                                          const std::function<bool(const vk::KernelKey&)>& is_known);

/// The workload, once its kernels are known to compute what they should on this device; where the device's options do
/// not want that, as it is. Kernels that no one has checked with this device, driver and code are run on inputs that
/// repeat, three times each, and compared with the CPU's references; what is found is kept beside the pipeline cache.
/// One that misses is distrusted from then on, by every workload that is planned for the device, and this one is
/// planned anew with the next variant that holds; the user is told so once. Throws kDevice where none holds.
Workload self_tested(vk::Device& device, Workload workload);

}  // namespace fabula::graph
