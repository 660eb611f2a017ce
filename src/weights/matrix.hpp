#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/coded_matrix.hpp"
#include "graph/parameters.hpp"
#include "graph/runtime.hpp"
#include "weights/product.hpp"

// How a matrix of a model is stored, and what can be done with it: one interface, a file a kind. Heads and bodies say
// what they compute; a kind says of what.
namespace fabula::weights {

/// The rows that a look-up gives.
struct Lookup {
  graph::Value ids;                        ///< words [1, N]
  graph::Value order = {}, segments = {};  ///< where gradients are (base/segments.hpp)
};

class Matrix {
 public:
  explicit Matrix(const graph::ParameterSpec& spec) : spec_(spec) {}
  virtual ~Matrix() = default;

  struct Stored {
    std::string name;
    graph::Shape shape;
  };
  /// The values of the store that it is kept in.
  virtual std::vector<Stored> stored() const = 0;
  /// Fills them from all its numbers, row by row as files give them. Throws kNumeric, naming it, for what the kind
  /// cannot hold.
  virtual void upload(graph::Runtime& runtime, std::span<const float> numbers) const = 0;
  /// Can the kind hold these codes as they are?
  virtual bool holds(const CodedMatrix&) const { return false; }
  /// Fills them from codes that it holds, [outputs, inputs] or a row a token.
  virtual void upload(graph::Runtime& runtime, const CodedMatrix& coded) const;

  /// All of it in a type of floats: [outputs, inputs], or as outputs_first says.
  virtual graph::Value dense(graph::Graph& graph, graph::DType dtype = graph::DType::kF32) const = 0;
  /// As row_product and embed_tokens read it.
  virtual Operand as_stored(graph::Graph& graph) const { return as_dense(graph, graph::DType::kF32); }
  /// Some of its rows in a type of floats, zero where there is no such row.
  virtual graph::Value rows(graph::Graph& graph, const Lookup& lookup, graph::DType dtype = graph::DType::kF32) const;

  bool outputs_first() const { return !spec_.inputs_first || spec_.transposed; }
  Operand as_dense(graph::Graph& graph, graph::DType dtype) const { return {dense(graph, dtype), {}, outputs_first()}; }
  /// What a product with h reads.
  Operand operand(graph::Graph& graph, const Hidden& h) const {
    return h.places ? as_stored(graph) : as_dense(graph, graph.shape(h.x).dtype);
  }
  graph::Value product(graph::Graph& graph, const Hidden& h, const Around& around = {}) const {
    return weights::product(graph, h, operand(graph, h), around);
  }

 protected:
  const graph::ParameterSpec& spec() const { return spec_; }

 private:
  graph::ParameterSpec spec_;
};

/// The matrix of the kind that its spec names.
std::unique_ptr<const Matrix> matrix_of(const graph::ParameterSpec& spec);

// The kinds.
/// Floats of any type under the parameter's own name.
std::unique_ptr<const Matrix> dense_matrix(const graph::ParameterSpec& spec);
/// Signed bytes or four bits under the parameter's name, and under kScales behind it an fp16 scale for each group of a
/// row, perhaps with an offset behind it (weights/quantise.hpp). Codes of three bits lie in four.
std::unique_ptr<const Matrix> scaled_groups(const graph::ParameterSpec& spec);
inline constexpr const char* kScales = ".scales";

}  // namespace fabula::weights
