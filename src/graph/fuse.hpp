#pragma once
#include <cstddef>

#include "graph/graph.hpp"

namespace fabula::graph {

/// Joins nodes with later ones that they can do in their own kernels, as OpDef::fusions says; for graphs that are
/// finished. Values keep their handles and their numbers; one that only the joined node would need is no longer
/// computed. Returns how many nodes went away.
std::size_t fuse(Graph& graph);

}  // namespace fabula::graph
