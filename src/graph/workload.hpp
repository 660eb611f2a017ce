#pragma once
#include <map>
#include <string>
#include <vector>

#include "graph/graph.hpp"
#include "graph/program.hpp"

namespace fabula::graph {

/// Prefixes by which states are told apart in reports and files: gradients, the optimizer's moments and caches from all
/// others.
inline constexpr std::string_view kGradientPrefix = "grad.";
inline constexpr std::string_view kOptimizerPrefix = "adam.";
/// Keys and values of decoded sequences.
inline constexpr std::string_view kCachePrefix = "cache.";

/// What a workload takes on the device, in bytes.
struct MemoryReport {
  std::uint64_t parameters = 0, constants = 0, gradients = 0, optimizer = 0;
  std::uint64_t caches = 0;
  std::uint64_t states = 0;            ///< that are none of these: what graphs hand to each other or to themselves
  std::uint64_t activations = 0;       ///< the arena: shared by all graphs, the largest counts
  std::uint64_t activations_live = 0;  ///< most bytes alive at once (the rest of the arena is fragmentation)
  std::uint64_t inputs = 0;            ///< with their staging and the read-back of results
  std::string peak_graph, peak_node;   ///< where the arena is fullest
  std::uint64_t total() const {
    return parameters + constants + gradients + optimizer + caches + states + activations + inputs;
  }
};

/// A graph with its plan, as part of a workload.
struct PlannedGraph {
  std::string name;
  Graph graph;
  Program program;
  std::vector<std::uint64_t> input_blocks;  ///< bytes
  std::uint64_t readback_bytes = 0;
  std::vector<std::pair<Value, std::uint64_t>> kept;  ///< kept values and their offsets in the read-back buffer
};

/// The graphs of a job (accumulate, apply, evaluate, generate), planned together for one device: what the store holds
/// is placed once, the arena is shared because only one graph runs at a time. Pure data: `fabula plan` needs no more
/// than this.
class Workload {
 public:
  /// `variant` forces a kernel variant wherever it exists (checks use it).
  explicit Workload(Target target, std::string variant = {});

  /// Joins nodes that can be (graph/fuse.hpp), plans and lowers a graph; its index.
  std::size_t add(std::string name, Graph graph);
  /// The same graphs planned anew, for a device of which more is known by now.
  Workload with_faults(const vk::KernelFaults& faults) const;

  const vk::DeviceProfile& profile() const { return target_.profile; }
  const std::vector<PlannedGraph>& graphs() const { return graphs_; }
  MemoryReport report() const;
  std::vector<std::uint64_t> arena_blocks() const;
  const std::vector<std::uint64_t>& store_blocks() const { return store_.block_sizes(); }
  struct Stored {
    Shape shape;
    Role role;
    Placement placement;
    std::string graph;  ///< the first one that declares it
  };
  const std::map<std::string, Stored, std::less<>>& stored() const { return stored_; }
  /// Those of the target's choices that a node of some graph has.
  KernelChoices kernel_choices() const;
  /// Digest over some graphs, in this order: see Program::digest.
  std::uint64_t digest(std::span<const std::size_t> graphs) const;

 private:
  std::size_t plan(std::string name, Graph graph);

  Target target_;
  std::string variant_;
  LinearLayout store_;
  std::map<std::string, Stored, std::less<>> stored_;
  std::vector<PlannedGraph> graphs_;
};

}  // namespace fabula::graph
