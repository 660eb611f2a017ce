#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/group_plan.hpp"
#include "formats/model_config.hpp"
#include "graph/graph.hpp"
#include "graph/parameters.hpp"

namespace fabula::heads {

/// What a head computes of N positions with labels; every value is [1, N] and zero where the label is ignored. Values
/// that a kind of head does not have are absent.
struct HeadLoss {
  graph::Value loss = {};  ///< -log p(label | h): the exponential of its mean is a perplexity over the whole vocabulary
  graph::Value token_correct = {};  ///< full: 1 where the label is the most probable token
  graph::Value group_loss = {};     ///< grouped: -log p(group | h)
  graph::Value slot_loss = {};      ///< grouped: -log p(slot | group, h); with group_loss it adds up to loss
  graph::Value group_correct = {};  ///< grouped: 1 where the label's group is the most probable group
  graph::Value slot_correct = {};   ///< grouped: 1 where the label is the most probable token of its own group
};

/// What the loss is for: with a gradient, the batch inputs also hold the order in which positions are summed.
enum class LossUse { kValue, kGradient };

/// The words of one graph input (DType::kU32, one row).
struct InputWords {
  std::string name;
  std::vector<std::uint32_t> words;
};

/// A vocabulary head: from hidden vectors to a distribution over V tokens. It holds no parameter values, no memory and
/// no device.
class Head {
 public:
  virtual ~Head() = default;

  virtual HeadKind kind() const = 0;
  virtual std::int64_t vocabulary() const = 0;  ///< V

  /// The tensors that the head adds to the model; a tied matrix belongs to the body and is not among them.
  virtual std::vector<graph::ParameterSpec> parameters() const = 0;

  /// Appends the loss of h [N, D]. Declares the graph inputs that batch_inputs fills.
  virtual HeadLoss loss(graph::Graph& graph, graph::Value h, LossUse use) const = 0;

  /// The inputs of a graph that holds loss(.., use), for one batch. Throws kInvalidArgument, naming the position, for a
  /// label that is neither below V nor kIgnoredLabel.
  virtual std::vector<InputWords> batch_inputs(std::span<const std::uint32_t> labels, LossUse use) const = 0;

  /// Appends log p(v | h) [R, V] of h [R, D], in token id order. Declares the graph inputs that decode_inputs fills.
  virtual graph::Value log_probs(graph::Graph& graph, graph::Value h) const = 0;

  /// The inputs of a graph that holds log_probs: the same for every run, so that they are set once.
  virtual std::vector<InputWords> decode_inputs() const = 0;
};

/// The head that a config asks for. `embedding` is the token embedding's tensor name, which a tied head multiplies
/// with. Throws kInvalidArgument naming the field for sizes that do not fit.
std::unique_ptr<Head> make_head(const ModelConfig& config, std::string_view embedding = "transformer.wte.weight");

}  // namespace fabula::heads
