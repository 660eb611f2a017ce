#pragma once
#include <cstdint>
#include <functional>

#include "graph/runtime.hpp"
#include "models/loss_graph.hpp"
#include "text/batches.hpp"

namespace fabula::eval {

/// Sums over the positions that count. What a head does not have stays NaN.
struct Evaluation {
  double loss_sum = 0;  ///< -log p(token | context), in nats
  double token_correct = 0, group_correct = 0, slot_correct = 0;
  double mass_without_token = 0;  ///< probability of the rows that no token has
  std::int64_t positions = 0;
  bool has_token = false, has_groups = false;

  double loss() const { return loss_sum / static_cast<double>(positions); }
  double perplexity() const;               ///< over the whole vocabulary
  double token_accuracy() const;           ///< full head: the most probable token is right
  double group_accuracy() const;           ///< the most probable group is right
  double token_in_group_accuracy() const;  ///< within the true group, the most probable token is right
  double mean_mass_without_token() const { return mass_without_token / static_cast<double>(positions); }
};

models::PlannedLoss add_evaluation_graph(graph::Workload& workload, const models::LanguageModel& model,
                                         std::int64_t batch, std::int64_t sequence, bool keep_positions = false);

/// Evaluates the first `batches` batches of a sequential source (0: all). `progress` (may be empty) is called after
/// each batch and stops the evaluation by returning false. Throws kNumeric when the loss is not finite.
Evaluation evaluate(graph::Runtime& runtime, const models::PlannedLoss& graph, const models::LanguageModel& model,
                    const text::BatchSource& source, std::uint64_t batches = 0,
                    const std::function<bool(std::uint64_t done, std::uint64_t total)>& progress = {});

}  // namespace fabula::eval
