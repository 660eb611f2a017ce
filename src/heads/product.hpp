#pragma once
#include "heads/hidden.hpp"
#include "ops/storage.hpp"

namespace fabula::heads {

/// h weight^T (+ bias) of few rows.
inline graph::Value few_rows_product(graph::Graph& graph, const Hidden& h, graph::Value weight, graph::Value bias) {
  graph::Attrs attrs{{"transpose_b", 1}, {"out", 0}};
  if (h.norm != 0) attrs.set("norm", double(h.norm)), attrs.set("eps", h.eps);
  return graph.op1("row_product", {h.x, weight, {}, bias, {}, h.norm_weight, h.norm_bias, h.places}, attrs);
}

/// h weight^T, [N, R], of h [N, D] and weight [R, D], stored in h's own type. The product reads a copy of the weights
/// in that type.
inline graph::Value product(graph::Graph& graph, const Hidden& h, graph::Value weight) {
  if (h.places) return few_rows_product(graph, h, weight, {});
  return graph.op1("matmul", {h.x, ops::cast_to(graph, weight, graph.shape(h.x).dtype)}, {{"transpose_b", 1}});
}

/// Scores h weight^T (+ bias) of the same: always in fp32, as everything in a head behind its last product is.
inline graph::Value scores(graph::Graph& graph, const Hidden& h, graph::Value weight, graph::Value bias = {}) {
  if (h.places) return few_rows_product(graph, h, weight, bias);
  const graph::DType dtype = graph.shape(h.x).dtype;
  graph::Attrs attrs{{"transpose_b", 1}};
  if (graph::is_half(dtype)) attrs.set("out", 0);
  return graph.op1("matmul", {h.x, ops::cast_to(graph, weight, dtype), bias}, attrs);
}

}  // namespace fabula::heads
