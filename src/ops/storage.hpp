#pragma once
#include "base/fail.hpp"
#include "graph/graph.hpp"
#include "graph/op.hpp"

// Ops that choose the type their result is stored in have an attribute `out`: 0 fp32, 1 fp16, 2 bf16.
namespace fabula::ops {

/// The type that attribute `out` names, or `otherwise` without it. Throws kInvalidArgument for another number.
inline graph::DType storage_type(const graph::Attrs& attrs, graph::DType otherwise = graph::DType::kF32) {
  if (!attrs.has("out")) return otherwise;
  const std::int64_t code = attrs.integer("out");
  for (const graph::DType dtype : {graph::DType::kF32, graph::DType::kF16, graph::DType::kBF16})
    if (graph::storage_code(dtype) == code) return dtype;
  fail(ErrorCode::kInvalidArgument, "attribute \"out\" is {}, not 0 (fp32), 1 (fp16) or 2 (bf16)", code);
}

/// `value` in this type: itself where it is of it already.
inline graph::Value cast_to(graph::GradCall& call, graph::Value value, graph::DType dtype) {
  if (!value || call.dtype_of(value) == dtype) return value;
  return call.op1("cast", {value}, {{"out", double(graph::storage_code(dtype))}});
}
inline graph::Value cast_to(graph::Graph& graph, graph::Value value, graph::DType dtype) {
  if (graph.shape(value).dtype == dtype) return value;
  return graph.op1("cast", {value}, {{"out", double(graph::storage_code(dtype))}});
}

}  // namespace fabula::ops
