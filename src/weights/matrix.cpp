#include "weights/matrix.hpp"

#include "ops/storage.hpp"

namespace fabula::weights {

graph::Value Matrix::rows(graph::Graph& graph, const Lookup& lookup, graph::DType dtype) const {
  graph::Attrs stored;
  if (graph::is_half(dtype)) stored.set("out", double(graph::storage_code(dtype)));
  return graph.op1("embedding", {lookup.ids, as_stored(graph).values, lookup.order, lookup.segments}, stored);
}

void Matrix::upload(graph::Runtime&, const CodedMatrix&) const {
  fail(ErrorCode::kInternal, "\"{}\" holds no codes", spec().name);
}

std::unique_ptr<const Matrix> matrix_of(const graph::ParameterSpec& spec) {
  return graph::is_scaled(spec.shape.dtype) ? scaled_groups(spec) : dense_matrix(spec);
}

}  // namespace fabula::weights
