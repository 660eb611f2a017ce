#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "eval/evaluate.hpp"
#include "formats/train_config.hpp"
#include "graph/workload.hpp"
#include "infer/generator.hpp"
#include "models/loss_graph.hpp"

namespace fabula::train {

/// The graphs of a training run, planned for a target: what Trainer runs and `fabula plan` prints.
struct TrainingPlan {
  graph::Workload workload;
  std::size_t overwrite = 0, accumulate = 0, apply = 0;  ///< graph indices; accumulate: overwrite where it has none
  models::LossGraph gradient;                            ///< handles of the overwriting graph
  std::optional<models::LossGraph> accumulating;         ///< only with grad_accumulation > 1
  graph::Value clip;
  std::optional<eval::EvaluationGraph> evaluation;  ///< an extra, as the next
  infer::GenerationGraphs generation;
  Recompute recompute = Recompute::kNone;  ///< as planned, never kAuto
};

struct PlanOptions {
  /// Bytes that decide for Recompute::kAuto: kBlock where the plan takes more without; 0: no limit.
  std::uint64_t memory = 0;
  bool with_extras = true;  ///< also the graphs for validation and samples
};
TrainingPlan plan_training(const graph::Target& target, const models::LanguageModel& model, const TrainConfig& config,
                           const PlanOptions& options = {});

/// RunState::lowering: the kernels that a run's numbers come from, as a digest. Neither samples, which draw from the
/// weights and change nothing, nor recomputation count.
std::string lowering_text(const graph::Target& target, const models::LanguageModel& model, const TrainConfig& config);

}  // namespace fabula::train
