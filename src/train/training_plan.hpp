#pragma once
#include <string>

#include "formats/model_config.hpp"
#include "graph/workload.hpp"
#include "infer/evaluate.hpp"
#include "infer/generator.hpp"
#include "models/loss_graph.hpp"
#include "train/apply_graph.hpp"

namespace fabula::train {

/// The graphs of a training run, planned for a device profile: what Trainer runs and `fabula plan` prints.
struct TrainingPlan {
  graph::Workload workload;
  std::size_t overwrite = 0, accumulate = 0, apply = 0;  ///< graph indices; accumulate only with grad_accumulation > 1
  models::LossGraph gradient;                            ///< handles of the overwriting graph
  models::LossGraph accumulating;
  graph::Value clip;
  infer::EvaluationGraph evaluation;
  infer::GenerationGraphs generation;
};
/// `with_extras`: also the graphs for validation and samples.
TrainingPlan plan_training(const vk::DeviceProfile& profile, const models::LanguageModel& model,
                           const TrainConfig& config, bool with_extras = true);

/// T of a run: train.sequence_length, else the model's positions.
std::int64_t sequence_length(const RunConfig& config);

/// The kernels that a run's numbers come from, as a digest; samples draw from the weights and change nothing.
std::string lowering_text(const TrainingPlan& plan);

}  // namespace fabula::train
