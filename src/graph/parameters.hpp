#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"

namespace fabula::graph {

/// How a parameter starts.
enum class Init : std::uint8_t {
  kNormal,  ///< N(0, init_std^2)
  kOnes,
  kZeros,
  kValues,  ///< as ParameterSpec::values says
};

/// What the rows of a table stand for, where its first ones are a smaller table.
enum class RowsOf : std::uint8_t { kFeatures, kTokens, kPositions };

/// A tensor as a model's body or head declares it, once: what the store allocates, the optimizer treats and files hold.
struct ParameterSpec {
  std::string name;           ///< in graphs and in files; a fresh tensor's random stream is keyed by it
  Shape shape;                ///< in the store
  bool is_vector = false;     ///< files give it as [n], the store has [1, n]
  bool is_linear = false;     ///< matrix of a linear layer, which other programs may keep transposed
  bool is_weight = false;     ///< a matrix that products or look-ups by token read: it may be stored in fewer bits
  bool inputs_first = false;  ///< of is_weight: files give it as [inputs, outputs], else [outputs, inputs]
  bool transposed = false;    ///< the store has it the other way round than files
  bool offsets = false;       ///< of four bits: groups have offsets between their scales (ops/stored_table.hpp)
  RowsOf rows = RowsOf::kFeatures;
  Init init = Init::kNormal;
  double init_std = 0.02;  ///< of Init::kNormal
  bool trained = true;     ///< has a gradient and moments
  bool decay = true;       ///< takes weight decay (matrices do; biases, norms, the head's scale and shift do not)
  std::shared_ptr<const std::vector<float>> values = {};  ///< of Init::kValues: shape.count() numbers, row by row

  std::vector<std::int64_t> file_shape() const {
    if (is_vector) return {shape.cols};
    return transposed ? std::vector{shape.cols, shape.rows} : std::vector{shape.rows, shape.cols};
  }
};

/// The tensors of a model, or of a part of it, by name and in the order of its files.
class ParameterSet {
 public:
  /// Throws kInternal for a name that is there already.
  void add(ParameterSpec spec);
  const std::vector<ParameterSpec>& specs() const { return specs_; }
  /// Changes every spec, but for its name.
  template <class Change>
  void change(Change&& change) {
    for (ParameterSpec& spec : specs_) change(spec);
  }
  /// Throws kInternal, naming it, for one that was not declared.
  const ParameterSpec& find(std::string_view name) const;
  /// The parameter of that name in a graph.
  Value in(Graph& graph, std::string_view name) const { return value_of(graph, find(name)); }
  static Value value_of(Graph& graph, const ParameterSpec& spec) { return graph.parameter(spec.name, spec.shape); }
  std::int64_t count() const;  ///< numbers in all of them

 private:
  std::vector<ParameterSpec> specs_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

}  // namespace fabula::graph
