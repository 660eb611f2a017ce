#pragma once
#include "formats/model_config.hpp"
#include "graph/graph.hpp"
#include "graph/parameters.hpp"
#include "models/family.hpp"

// Bodies: everything of a language model but its head. A body turns token ids into hidden states [N, D], N = B*T.
namespace fabula::models {

/// The shape that a graph is built for.
struct BodyShape {
  std::int64_t batch = 1;     ///< B
  std::int64_t sequence = 1;  ///< T
  bool training = false;      ///< dropout is on
  /// What activations and the copies of the weights that products read are stored in.
  graph::DType dtype = graph::DType::kF32;
};

/// What a body reads. `order` and `segments` (base/segments.hpp, keyed by token id) are needed where gradients are;
/// `seed` [1, 4] (key lo, key hi, step lo, step hi) where dropout is.
struct BodyInputs {
  graph::Value ids;  ///< [1, N]
  graph::Value order, segments;
  graph::Value seed;
};

/// Throws kInvalidArgument when the sequence is longer than the model's positions, kUnsupported where a layer attends
/// to more than ops::kMaxAttentionSpan of them and for what training cannot do (dropout on attention probabilities).
/// Asked before a text is prepared for a run that cannot be.
void check_supported(const ModelConfig& config, std::int64_t sequence, bool training);

/// A body of some family. Holds no parameter values, no memory and no device.
class Body {
 public:
  Body(const ModelConfig& config, const Family& family);

  const Family& family() const { return *family_; }
  /// Its tensors in file order: names, shapes and orientation as Hugging Face has them for the family.
  const graph::ParameterSet& parameters() const { return parameters_; }
  const graph::ParameterSpec& token_embedding() const { return parameters_.specs().front(); }

  /// Appends it to a graph; the hidden states after the last norm, [N, D]. Throws as check_supported.
  graph::Value hidden(graph::Graph& graph, const BodyShape& shape, const BodyInputs& inputs) const;

 private:
  ModelConfig config_;
  const Family* family_;
  graph::ParameterSet parameters_;
};

}  // namespace fabula::models
