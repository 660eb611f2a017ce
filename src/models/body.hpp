#pragma once
#include <optional>

#include "formats/model_config.hpp"
#include "graph/graph.hpp"
#include "graph/parameters.hpp"
#include "models/family.hpp"
#include "weights/format.hpp"
#include "weights/hidden.hpp"

// Bodies: everything of a language model but its head. A body turns token ids into hidden states [N, D], N = B*T.
namespace fabula::models {

/// The shape that a graph is built for.
struct BodyShape {
  std::int64_t batch = 1;     ///< B
  std::int64_t sequence = 1;  ///< T
  bool training = false;      ///< dropout is on
  /// What activations and the copies of the weights that products read are stored in.
  graph::DType dtype = graph::DType::kF32;
  /// Few rows without a gradient: every linear layer is one row_product, with what stands around it.
  bool few_rows = false;
};

/// What a body needs to decode with a cache, in which every slot keeps the keys and values of one sequence. The rows of
/// a step are single positions of slots; those of a prompt are consecutive positions of one slot.
struct CachedInputs {
  graph::Value slots;                       ///< state [S, kSlotWords] (base/decode_slot.hpp); of a step
  graph::Value rows;                        ///< [1, N]: the slot of each row; of a step
  graph::Value places;                      ///< [1, 4 N]: kPlaceWords words a row; of a prompt
  graph::Value positions;                   ///< [1, N]: the same positions; of a prompt
  std::int64_t slot_count = 1;              ///< S
  std::int64_t context = 1;                 ///< positions that a slot can hold
  std::int64_t longest_prompt = 1;          ///< rows of the longest prompt graph
  graph::DType dtype = graph::DType::kF32;  ///< what keys and values are stored in
};

/// Vectors that are added to the embeddings of tokens by their class (heads::InputClasses).
struct ClassInputs {
  graph::ParameterSpec vectors = {};       ///< [C, D]
  graph::Value rows = {};                  ///< [1, N]: the row of each position's token, C or more: none; not of a step
  graph::Value order = {}, segments = {};  ///< as BodyInputs' of rows
  graph::Value row_of = {};                ///< constant [1, V]: the row of each token; of a step
};

/// What a body reads. `order` and `segments` (base/segments.hpp, keyed by token id) are needed where gradients are;
/// `seed` [1, 4] (key lo, key hi, step lo, step hi) where dropout is.
struct BodyInputs {
  graph::Value ids;  ///< [1, N]
  graph::Value order, segments;
  graph::Value seed;
  std::optional<ClassInputs> classes = {};
  std::optional<CachedInputs> cached = {};
};

/// Throws kInvalidArgument when the sequence is longer than the model's positions, kUnsupported where a layer attends
/// to more than ops::kMaxAttentionSpan of them and for what training cannot do (dropout on attention probabilities).
/// Asked before a text is prepared for a run that cannot be.
void check_supported(const ModelConfig& config, std::int64_t sequence, bool training);

/// A body of some family. Holds no parameter values, no memory and no device.
class Body {
 public:
  Body(const ModelConfig& config, const Family& family, const weights::Storage& weights = {});

  const Family& family() const { return *family_; }
  /// Its tensors in file order: names, shapes and orientation as Hugging Face has them for the family.
  const graph::ParameterSet& parameters() const { return parameters_; }
  const graph::ParameterSpec& token_embedding() const { return parameters_.specs().front(); }
  /// What its graphs read that never changes.
  std::vector<heads::NamedWords> constants() const;

  /// Appends it to a graph; the hidden states [N, D] behind the last norm, which of few rows is left to who reads them.
  /// Throws as check_supported.
  weights::Hidden hidden(graph::Graph& graph, const BodyShape& shape, const BodyInputs& inputs) const;

  // Its parts, for who looks at what lies between them: of many rows [N, D], without dropout and without a cache.
  /// What the first layer reads.
  graph::Value first_states(graph::Graph& graph, const BodyShape& shape, const BodyInputs& inputs) const;
  graph::Value layer(graph::Graph& graph, const BodyShape& shape, std::int64_t layer, graph::Value x) const;
  graph::Value last_norm(graph::Graph& graph, const BodyShape& shape, graph::Value x) const;

 private:
  graph::Value embedding(const BodyCall& call) const;
  graph::Value with_class(const BodyCall& call, graph::Value x) const;
  graph::Value step_embedding(const BodyCall& call, CachedInputs& cached) const;

  ModelConfig config_;
  const Family* family_;
  graph::ParameterSet parameters_;
};

}  // namespace fabula::models
