#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "eval/evaluate.hpp"
#include "formats/train_config.hpp"
#include "graph/workload.hpp"
#include "infer/session.hpp"
#include "models/loss_graph.hpp"

namespace fabula::train {

/// The graphs of a training run by their numbers in its workload, and the values that they keep.
struct TrainingGraphs {
  models::PlannedLoss overwrite;   ///< of a step's first batch
  models::PlannedLoss accumulate;  ///< of those behind it; `overwrite` where a step has one batch
  /// Copies the running sum of gradients to a held one, and adds that to it, by its place on the stack (gradient_tree).
  struct HeldSum {
    std::size_t hold = 0, add = 0;
  };
  std::vector<HeldSum> held;  ///< none for up to three micro-batches
  std::size_t apply = 0;
  graph::Value clip;                              ///< ApplyGraph::clip
  std::optional<models::PlannedLoss> evaluation;  ///< an extra, as the next
  std::optional<infer::SessionGraphs> session;    ///< of samples

  bool accumulates() const { return accumulate.index != overwrite.index; }
};

/// How often each graph runs in a step of so many micro-batches, by its number.
std::map<std::size_t, std::int64_t> runs_of_step(const TrainingGraphs& graphs, std::int64_t micro_batches);

/// A training run planned for a target: what Trainer runs and `fabula plan` prints.
struct TrainingPlan {
  graph::Workload workload;
  TrainingGraphs graphs = {};
  Recompute recompute = Recompute::kNone;  ///< as planned, never kAuto
};

/// A plan on a device.
struct TrainingRuntime {
  TrainingRuntime(vk::Device& device, TrainingPlan plan, const graph::RuntimeOptions& options = {})
      : graphs(std::move(plan.graphs)), runtime(device, std::move(plan.workload), options) {}
  TrainingGraphs graphs;
  graph::Runtime runtime;
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
