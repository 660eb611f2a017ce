#pragma once
#include <span>
#include <string>
#include <vector>

#include "graph/runtime.hpp"
#include "models/language_model.hpp"

// The graphs that turn a batch of B sequences of T tokens into losses, and the words of a batch that they read.
namespace fabula::models {

/// What a batch's loss graph gives; [1, 1] sums over the batch unless said otherwise.
struct LossValues {
  heads::HeadLoss per_position;  ///< [1, N], kept only when asked for
  graph::Value loss;             ///< sum of -log p, times the input "loss_scale" in gradient graphs
  graph::Value token_correct, group_correct, slot_correct;  ///< sums; absent where the head has none
};

struct LossGraph {
  graph::Graph graph;
  LossValues values;
};

/// One as part of a workload.
struct PlannedLoss {
  std::size_t index = 0;
  LossValues values;
};
PlannedLoss add_loss_graph(graph::Workload& workload, std::string name, LossGraph loss);

/// The state [1, 1] that gradient graphs leave a step's loss in, for the update to look at.
inline constexpr const char* kLossState = "step.loss";
/// State [1, 4] of fp16 gradient graphs: {scale, steps since it last changed, 0, 0}. The loss, and with it every
/// gradient, is multiplied by the scale, so that small gradients do not vanish in 16 bits; ops/guard_step.cpp keeps it.
inline constexpr const char* kLossScaleState = "step.loss_scale";

enum class Gradients {
  kOverwrite,   ///< the states grad.<parameter> are written
  kAccumulate,  ///< they are added to
};

/// Forward and backward for one micro-batch, dropout on. The loss is scaled by the input "loss_scale" [1, 4] (first
/// word: 1 / number of labels that count in the whole step).
LossGraph gradient_graph(const LanguageModel& model, std::int64_t batch, std::int64_t sequence, Gradients gradients,
                         const graph::DifferentiateOptions& options = {});

/// Forward alone, dropout off.
LossGraph evaluation_graph(const LanguageModel& model, std::int64_t batch, std::int64_t sequence,
                           bool keep_positions = false);

/// Everything that a loss graph reads of one batch, as named words; made on the host, so that it can be prepared while
/// the device works.
struct BatchWords {
  std::vector<heads::NamedWords> inputs;
  std::int64_t counted = 0;  ///< labels that are not ignored
};
/// `ids` and `labels` [N]. Throws kInvalidArgument naming the position for an id or label beyond the vocabulary.
BatchWords batch_words(const LanguageModel& model, std::span<const std::uint32_t> ids,
                       std::span<const std::uint32_t> labels, heads::LossUse use);
void set_batch(graph::Runtime& runtime, std::size_t graph, const BatchWords& words);

}  // namespace fabula::models
