#include <algorithm>
#include <cmath>

#include "ops/storage.hpp"
#include "weights/matrix.hpp"

namespace fabula::weights {
namespace {

class Dense final : public Matrix {
 public:
  using Matrix::Matrix;

  std::vector<Stored> stored() const override { return {{spec().name, spec().shape}}; }

  void upload(graph::Runtime& runtime, std::span<const float> numbers) const override {
    const graph::DType dtype = spec().shape.dtype;
    if (graph::is_half(dtype)) check(numbers, dtype);
    runtime.upload(spec().name, numbers);
  }

  graph::Value dense(graph::Graph& graph, graph::DType dtype) const override {
    return ops::cast_to(graph, value(graph), dtype);
  }
  Operand as_stored(graph::Graph& graph) const override { return {value(graph), {}, outputs_first()}; }

 private:
  graph::Value value(graph::Graph& graph) const { return graph::ParameterSet::value_of(graph, spec()); }

  void check(std::span<const float> numbers, graph::DType dtype) const {
    const auto too_large = [&](float v) { return std::isfinite(v) && std::abs(v) > graph::facts_of(dtype).largest; };
    if (const auto at = std::find_if(numbers.begin(), numbers.end(), too_large); at != numbers.end())
      fail(ErrorCode::kNumeric, "\"{}\" has the number {}, {} ends at {}: store the weights in another type",
           spec().name, *at, to_string(dtype), graph::facts_of(dtype).largest);
  }
};

}  // namespace

std::unique_ptr<const Matrix> dense_matrix(const graph::ParameterSpec& spec) {
  return std::make_unique<Dense>(spec);
}

}  // namespace fabula::weights
