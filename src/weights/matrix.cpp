#include "weights/matrix.hpp"

#include "ops/storage.hpp"

namespace fabula::weights {

graph::Value Matrix::rows(graph::Graph& graph, const Lookup& lookup, graph::DType dtype) const {
  graph::Attrs stored;
  if (graph::is_half(dtype)) stored.set("out", double(graph::storage_code(dtype)));
  return graph.op1("embedding", {lookup.ids, as_stored(graph).values, lookup.order, lookup.segments}, stored);
}

std::unique_ptr<const Matrix> matrix_of(const graph::ParameterSpec& spec) {
  return spec.shape.dtype == graph::DType::kI8 ? scaled_bytes(spec) : dense_matrix(spec);
}

}  // namespace fabula::weights
