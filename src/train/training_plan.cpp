#include "train/training_plan.hpp"

#include "formats/run_config.hpp"
#include "train/apply_graph.hpp"

namespace fabula::train {
namespace {
using models::Gradients;

TrainingPlan plan_with(const graph::Target& target, const models::LanguageModel& model, const TrainConfig& config,
                       Recompute recompute, bool with_extras) {
  const std::int64_t B = config.batch_size, T = sequence_length(config, model.config());
  const graph::DifferentiateOptions backward{.recompute_segments = recompute == Recompute::kBlock};
  TrainingPlan plan{.workload = graph::Workload(target), .recompute = recompute};
  TrainingGraphs& graphs = plan.graphs;
  // First, so that its tensors lie in the order in which it walks them.
  ApplyGraph apply = apply_graph(model.trained_parameters(), config);
  graphs.clip = apply.clip;
  graphs.apply = plan.workload.add("apply", std::move(apply.graph));
  graphs.overwrite = graphs.accumulate =
      add_loss_graph(plan.workload, "gradients", models::gradient_graph(model, B, T, Gradients::kOverwrite, backward));
  if (config.grad_accumulation > 1)
    graphs.accumulate = add_loss_graph(plan.workload, "accumulate",
                                       models::gradient_graph(model, B, T, Gradients::kAccumulate, backward));
  if (!with_extras) return plan;
  graphs.evaluation = eval::add_evaluation_graph(plan.workload, model, B, T);
  if (config.sample_every > 0) graphs.session = infer::add_session_graphs(plan.workload, model, {});
  return plan;
}

}  // namespace

TrainingPlan plan_training(const graph::Target& target, const models::LanguageModel& model, const TrainConfig& config,
                           const PlanOptions& options) {
  if (config.recompute == Recompute::kBlock)
    return plan_with(target, model, config, Recompute::kBlock, options.with_extras);
  TrainingPlan plan = plan_with(target, model, config, Recompute::kNone, options.with_extras);
  const std::uint64_t bytes = plan.workload.report().total();
  if (config.recompute == Recompute::kNone || options.memory == 0 || bytes <= options.memory) return plan;
  TrainingPlan block = plan_with(target, model, config, Recompute::kBlock, options.with_extras);
  return block.workload.report().total() < bytes ? std::move(block) : std::move(plan);
}

std::string lowering_text(const graph::Target& target, const models::LanguageModel& model, const TrainConfig& config) {
  const TrainingPlan plan = plan_with(target, model, config, Recompute::kNone, true);
  const std::vector<std::size_t> graphs{plan.graphs.overwrite.index, plan.graphs.accumulate.index, plan.graphs.apply,
                                        plan.graphs.evaluation->index};
  return fmt::format("{:016x}", plan.workload.digest(graphs));
}

}  // namespace fabula::train
