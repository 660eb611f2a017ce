#pragma once
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"
#include "graph/memory_plan.hpp"
#include "graph/target.hpp"
#include "vk/limits.hpp"

namespace fabula::graph {

/// A byte range of a block of a pool.
struct Range {
  Pool pool = Pool::kArena;
  std::uint32_t block = 0;
  std::uint64_t offset = 0, size = 0;
};

/// One command of a lowered graph: a launch, or (shader empty) the clearing of one range.
struct Step {
  std::string shader;
  std::vector<std::uint32_t> constants;
  std::vector<std::uint32_t> types;  ///< by binding: storage_code of the value; empty where all are 32-bit
  std::uint32_t subgroup_size = 0;
  std::array<std::uint32_t, 3> groups{1, 1, 1};
  std::vector<std::byte> push;
  std::vector<Range> bindings;
  std::int32_t node = 0;
  std::string label;  ///< node label, and the shader where it differs
};

/// A graph made ready for one device: where every value lies and what is launched, in order. Plain data, no device
/// object.
struct Program {
  std::vector<Placement> placements;  ///< by Value::id
  ArenaPlan arena;
  std::vector<Step> steps;
  std::vector<std::string> variants;  ///< by node
  /// Of shaders' code, constants, element types, grids, push constants and the sizes bound: equal digests compute
  /// bit-identical numbers on one device.
  std::uint64_t digest = 0;
};

struct ProgramOptions {
  /// Forces this kernel variant for every node that lists it. The others, or all where this is empty: the target's
  /// choice, else each node's first; or the next with fewer faults, where the device has any (vk::KernelFaults).
  std::string variant;
  /// Where all but activations lie.
  std::function<Placement(Value, const ValueInfo&)> place;
};

/// The kernel of a step that launches one.
vk::KernelKey kernel_of(const Step& step);

/// The digest of a kernel's code, by the shader's name: vk::shader_digest but in tests. Nothing where there is none.
using CodeDigest = std::function<std::optional<std::uint64_t>(std::string_view shader)>;
/// Program::digest.
std::uint64_t digest_of(const std::vector<Step>& steps, const CodeDigest& code);

/// Plans memory and lowers. Throws kInternal when an op binds more than the device allows, kOutOfMemory where a value
/// that an op binds whole exceeds one allocation.
Program lower(const Graph& graph, const Target& target, const ProgramOptions& options);

/// The kernels of one node alone in one of its variants, without repeats.
std::vector<vk::KernelKey> kernels_of(const Graph& graph, const Node& node, const vk::DeviceProfile& profile,
                                      const std::string& variant);

/// The variants of one node on a device, best first (one empty name where the op has no choice).
std::vector<std::string> variants_of(const Graph& graph, const Node& node, const vk::DeviceProfile& profile);

/// What a measured choice of kernels is kept under: op, attributes, shapes with element types, and the variants to
/// choose from. What a node was joined with (graph/fuse.hpp) does not count: which nodes are joined depends on what is
/// recomputed, and the choice, on which the order of a product's sums depends, must not.
std::string node_signature(const Graph& graph, const Node& node, const std::vector<std::string>& variants);

/// Flops and bytes of all nodes.
Cost total_cost(const Graph& graph);
Cost cost_of(const Graph& graph, const Node& node);

}  // namespace fabula::graph
