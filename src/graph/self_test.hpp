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

/// Kernels of a node that are to be checked, and the case by which.
struct SelfTestNode {
  const Graph* graph = nullptr;
  const Node* node = nullptr;
  std::string variant;
  std::vector<vk::KernelKey> kernels;  ///< of the node, those that nothing is known of yet
  std::optional<SizedCase> by;         ///< absent: no case of the op has their code
  bool own_sizes = false;              ///< `by` is the node itself on fewer rows; else one of the op's own cases
  /// What a case that holds says of the kernels: kHolds where it launches them, kAlike where it launches their code
  /// with other constants alone.
  vk::Verdict worth = vk::Verdict::kUnchecked;
};

/// The cases that stand for kernels of a node, each for some: the node itself on the fewest rows with which a device
/// takes the same ones, or those of the op's own cases that launch them; for the rest the nearest.
std::vector<SelfTestNode> self_test_nodes(const Graph& graph, const Node& node, const vk::DeviceProfile& profile,
                                          const std::string& variant, std::vector<vk::KernelKey> kernels);

/// The same for all kernels of a workload of which `is_known` does not hold, each kernel once.
std::vector<SelfTestNode> self_test_nodes(const Workload& workload,
                                          const std::function<bool(const vk::KernelKey&)>& is_known);

/// The workload, once its kernels are known to compute what they should on this device; where the device's options do
/// not want that, as it is. Kernels that no one has checked with this device, driver and code are run on inputs that
/// repeat, three times each, and compared with the CPU's references; what is found is kept beside the pipeline cache,
/// and of which kernels no case says anything, or the memory for it is missing, is told.
/// One that misses is distrusted from then on, by every workload that is planned for the device, and this one is
/// planned anew with the next variant that holds; the user is told so once. Throws kDevice where none holds.
Workload self_tested(vk::Device& device, Workload workload);

}  // namespace fabula::graph
