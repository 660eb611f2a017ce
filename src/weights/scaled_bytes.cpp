#include "base/fail.hpp"
#include "weights/matrix.hpp"
#include "weights/quantise.hpp"

namespace fabula::weights {
namespace {
using graph::DType;
using graph::Graph;
using graph::Shape;
using graph::Value;

std::vector<float> turned(std::span<const float> numbers, const Shape& to) {
  std::vector<float> result(numbers.size());
  auto next = result.begin();
  for (std::int64_t row = 0; row < to.rows; ++row)
    for (std::int64_t col = 0; col < to.cols; ++col) *next++ = numbers[static_cast<std::size_t>(col * to.rows + row)];
  return result;
}

class ScaledBytes final : public Matrix {
 public:
  using Matrix::Matrix;

  std::vector<Stored> stored() const override { return {{spec().name, spec().shape}, {scales_name(), scales_shape()}}; }

  void upload(graph::Runtime& runtime, std::span<const float> numbers) const override {
    const Shape& shape = spec().shape;
    std::vector<float> other_way;
    if (spec().transposed) numbers = other_way = turned(numbers, shape);
    ScaledRows scaled;
    try {
      scaled = quantise(numbers, shape.rows, shape.cols);
    } catch (const Error& error) {
      fail(error.code(), "\"{}\": {}; store the weights in another type", spec().name, error.what());
    }
    runtime.upload(spec().name, DType::kI8, std::as_bytes(std::span(scaled.bytes)));
    runtime.upload(scales_name(), DType::kF16, std::as_bytes(std::span(scaled.scales)));
  }

  Value dense(Graph& graph, DType dtype) const override { return expand(graph, {}, dtype); }
  Operand as_stored(Graph& graph) const override {
    return {graph::ParameterSet::value_of(graph, spec()), graph.parameter(scales_name(), scales_shape()),
            outputs_first()};
  }
  Value rows(Graph& graph, const Lookup& lookup, DType dtype) const override {
    return expand(graph, lookup.ids, dtype);
  }

 private:
  std::string scales_name() const { return spec().name + kScales; }
  Shape scales_shape() const {
    const Shape& bytes = spec().shape;
    return {bytes.rows, (bytes.cols + kBlock - 1) / kBlock, DType::kF16};
  }
  Value expand(Graph& graph, Value ids, DType dtype) const {
    const Operand stored = as_stored(graph);
    return graph.op1("expand", {stored.values, stored.scales, ids}, {{"out", double(graph::storage_code(dtype))}});
  }
};

}  // namespace

std::unique_ptr<const Matrix> scaled_bytes(const graph::ParameterSpec& spec) {
  return std::make_unique<ScaledBytes>(spec);
}

}  // namespace fabula::weights
