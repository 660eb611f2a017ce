#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/group_plan.hpp"
#include "formats/model_config.hpp"
#include "formats/token_map.hpp"
#include "graph/graph.hpp"
#include "graph/parameters.hpp"
#include "weights/format.hpp"
#include "weights/hidden.hpp"

namespace fabula::heads {
using weights::Hidden;

/// What a head computes of N positions with labels; every value but `mean` is [1, N] and zero where the label is
/// ignored; with LossUse::kGradient they may come in another order, and only their sums mean anything. Values that a
/// kind of head does not have are absent. The first level's classes are the groups (an adaptive
/// head's clusters) and the tokens of the shortlist; such a token is alone in its class.
struct HeadLoss {
  graph::Value mean = {};  ///< LossUse::kGradient: [1, 1], scale[0] times the sum of loss; what is differentiated
  graph::Value loss = {};  ///< -log p(label | h): the exponential of its mean is a perplexity over the whole vocabulary
  graph::Value token_correct = {};  ///< one level: 1 where the label is the most probable token
  graph::Value group_loss = {};     ///< two levels: -log p(class | h)
  graph::Value slot_loss = {};      ///< two levels: -log p(token | class, h); with group_loss it adds up to loss
  graph::Value group_correct = {};  ///< two levels: 1 where the label's class is the most probable class
  graph::Value slot_correct = {};   ///< two levels: 1 where the label is the most probable token of its own class
};

/// What the loss is for: with a gradient, the batch inputs also hold the order in which positions are summed.
enum class LossUse { kValue, kGradient };

/// The words of one input or constant of one row; the bits of its numbers where it is one of floats.
struct NamedWords {
  std::string name;
  std::vector<std::uint32_t> words;
};

/// What a head takes from a corpus.
struct HeadData {
  std::optional<TokenMap> map;               ///< of a two-level head; absent: consecutive_map
  std::vector<std::uint64_t> counts;         ///< [V] of the training tokens, for biases; empty: biases start at zero
  std::string map_source = "the group map";  ///< what messages call it: its file
};

/// Vectors of a first level that are added to the input embeddings of their class's tokens, which makes a class as
/// visible where it is read as where it is told.
struct InputClasses {
  const graph::ParameterSpec* vectors = nullptr;  ///< [C, D], one of the head's
  std::vector<std::uint32_t> rows;                ///< [V], by token: a row of them; C or more: none
};

/// A vocabulary head: from hidden vectors to a distribution over V tokens. It holds no parameter values, no memory and
/// no device.
class Head {
 public:
  virtual ~Head() = default;

  virtual HeadKind kind() const = 0;
  virtual std::int64_t vocabulary() const = 0;  ///< V

  /// In a few words, its sizes included: "grouped per_group, shortlist 512, 224 groups of 223, clustered, tied".
  virtual std::string describe() const = 0;
  /// Logits that a position's loss takes, of each level and product; at most, where it depends on the labels.
  virtual std::int64_t logits() const = 0;
  /// The same in the mean over the text that the map's shares are of; nothing where it depends on the labels and these
  /// are not known.
  virtual std::optional<double> mean_logits() const { return static_cast<double>(logits()); }

  /// The tensors that the head adds to the model; a tied matrix belongs to the body and is not among them.
  const graph::ParameterSet& parameters() const { return parameters_; }
  /// States how its matrices are stored; fp32 until then. A tied one is stored as the body's.
  void store_as(const weights::Storage& storage) {
    parameters_.change([&](graph::ParameterSpec& spec) { weights::store_as(spec, storage); });
  }

  /// The map of a two-level head, else null.
  virtual const TokenMap* token_map() const { return nullptr; }

  /// What it adds to tokens' input embeddings; null for most heads.
  const InputClasses* input_classes() const { return input_classes_ ? &*input_classes_ : nullptr; }

  /// Appends the loss of h [N, D]. Declares the inputs that batch_inputs fills and some of the constants. `scale` [1,
  /// 4] is given for LossUse::kGradient: its first word is the weight of every position that counts.
  virtual HeadLoss loss(graph::Graph& graph, graph::Value h, LossUse use, graph::Value scale = {}) const = 0;

  /// The inputs of a graph that holds loss(.., use), for one batch. Throws kInvalidArgument, naming the position, for a
  /// label that is neither below V nor kIgnoredLabel.
  virtual std::vector<NamedWords> batch_inputs(std::span<const std::uint32_t> labels, LossUse use) const = 0;

  /// Appends log p(v | h) [R, V] of h [R, D], in token id order. Declares some of the constants.
  virtual graph::Value log_probs(graph::Graph& graph, const Hidden& h) const = 0;

  /// The constants of the head's graphs: what is the same for every batch. A graph declares those that it reads.
  virtual std::vector<NamedWords> constants() const { return {}; }

 protected:
  graph::ParameterSet parameters_;
  std::optional<InputClasses> input_classes_;
};

/// Logits that a position takes: "959", or "452 in the mean, 1545 at most".
std::string logits_text(const Head& head);

/// The head that a config asks for. `embedding` is the token embedding, which a tied head multiplies with. Throws
/// kInvalidArgument naming the field for sizes that do not fit, kFormat for a map that is not the config's.
std::unique_ptr<Head> make_head(const ModelConfig& config, const HeadData& data, const graph::ParameterSpec& embedding);

}  // namespace fabula::heads
