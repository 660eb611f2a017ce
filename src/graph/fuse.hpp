#pragma once
#include <cstddef>

#include "graph/graph.hpp"

namespace fabula::graph {

/// Joins nodes with later ones that they can do in their own kernels, as OpDef::fusions says; for graphs that are
/// finished. Values keep their handles and, in fp32, their numbers; what is stored in 16 bits is rounded behind a
/// joined op, not before it (see Graph::keep_apart). A value that only the joined node would need is no longer
/// computed. Returns how many nodes went away.
std::size_t fuse(Graph& graph);

}  // namespace fabula::graph
