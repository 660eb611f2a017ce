#pragma once
#include <functional>
#include <string>
#include <vector>

#include "graph/workload.hpp"

// What a planned graph gives a device to do, node by node: what times are predicted from, and what measured times are
// kept by.
namespace fabula::predict {

/// What one node costs; graph::cost_of where nothing more is known.
using CostOf = std::function<graph::Cost(const graph::Graph&, const graph::Node&)>;

/// The launches of one node, together.
struct NodeWork {
  std::string key;  ///< kernel_key
  std::string op;
  double flops = 0;
  double stored_bytes = 0;  ///< of its bytes, those of parameters, constants and states
  double other_bytes = 0;
  int launches = 0;
  std::size_t first_step = 0;  ///< in Program::steps; its launches follow each other
};

/// What a graph does, by nodes that launch anything, in order.
struct GraphWork {
  std::vector<NodeWork> nodes;
  double stored_bytes = 0;                   ///< of all that it reads or writes in the store, each value once
  double input_bytes = 0, result_bytes = 0;  ///< copied from and to the host
};
GraphWork work_of(const graph::PlannedGraph& planned, const CostOf& cost_of = graph::cost_of);

/// Operations and bytes of a node of a step whose rows see `keys` keys each: a cache counts as far as it is read.
graph::Cost decode_cost(const graph::Graph& graph, const graph::Node& node, double keys);

}  // namespace fabula::predict
