#pragma once
#include "graph/graph.hpp"
#include "ops/storage.hpp"

namespace fabula::heads {

/// h weight^T, [N, R], of h [N, D] and weight [R, D], stored in h's own type. The product reads a copy of the weights
/// in that type.
inline graph::Value product(graph::Graph& graph, graph::Value h, graph::Value weight) {
  return graph.op1("matmul", {h, ops::cast_to(graph, weight, graph.shape(h).dtype)}, {{"transpose_b", 1}});
}

/// Scores h weight^T (+ bias) of the same: always in fp32, as everything in a head behind its last product is.
inline graph::Value scores(graph::Graph& graph, graph::Value h, graph::Value weight, graph::Value bias = {}) {
  const graph::DType dtype = graph.shape(h).dtype;
  graph::Attrs attrs{{"transpose_b", 1}};
  if (graph::is_half(dtype)) attrs.set("out", 0);
  return graph.op1("matmul", {h, ops::cast_to(graph, weight, dtype), bias}, attrs);
}

}  // namespace fabula::heads
