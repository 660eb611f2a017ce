#pragma once
#include "graph/graph.hpp"
#include "ops/storage.hpp"

namespace fabula::heads {

/// Scores h weight^T (+ bias), [N, R], of h [N, D] and weight [R, D]: always in fp32, as everything in a head behind
/// its products is. The product reads a copy of the weights in h's own type.
inline graph::Value scores(graph::Graph& graph, graph::Value h, graph::Value weight, graph::Value bias = {}) {
  const graph::DType dtype = graph.shape(h).dtype;
  graph::Attrs attrs{{"transpose_b", 1}};
  if (graph::is_half(dtype)) attrs.set("out", 0);
  return graph.op1("matmul", {h, ops::cast_to(graph, weight, dtype), bias}, attrs);
}

}  // namespace fabula::heads
