#include "weights/product.hpp"

namespace fabula::weights {
using graph::Attrs;
using graph::Graph;
using graph::Value;

namespace {

Value few_rows_product(Graph& graph, const Hidden& h, const Operand& matrix, const Around& around) {
  Attrs attrs{{"transpose_b", matrix.outputs_first ? 1.0 : 0.0}, {"activation", around.gelu ? 1.0 : 0.0}};
  if (around.fp32) attrs.set("out", 0);
  if (h.norm != 0) attrs.set("norm", double(h.norm)), attrs.set("eps", h.eps);
  return graph.op1(
      "row_product",
      {h.x, matrix.values, matrix.scales, around.bias, around.residual, h.norm_weight, h.norm_bias, h.places}, attrs);
}

}  // namespace

Value product(Graph& graph, const Hidden& h, const Operand& matrix, const Around& around) {
  if (h.places) return few_rows_product(graph, h, matrix, around);
  ensure(!matrix.scales && !around.gelu, "a product of many rows reads floats and leaves activations to others");
  Attrs attrs{{"transpose_b", matrix.outputs_first ? 1.0 : 0.0}};
  if (around.fp32 && graph::is_half(graph.shape(h.x).dtype)) attrs.set("out", 0);
  return graph.op1("matmul", {Value(h), matrix.values, around.bias, around.residual}, attrs);
}

}  // namespace fabula::weights
