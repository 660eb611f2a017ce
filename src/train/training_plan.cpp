#include "train/training_plan.hpp"

#include <fmt/format.h>

namespace fabula::train {

std::int64_t sequence_length(const RunConfig& config) {
  return config.train.sequence_length > 0 ? config.train.sequence_length : config.model.n_positions;
}

TrainingPlan plan_training(const vk::DeviceProfile& profile, const models::LanguageModel& model,
                           const TrainConfig& config, bool with_extras) {
  using models::Gradients;
  const std::int64_t B = config.batch_size,
                     T = config.sequence_length > 0 ? config.sequence_length : model.config().n_positions;
  TrainingPlan plan{graph::Workload(profile),
                    0,
                    0,
                    0,
                    models::gradient_graph(model, B, T, Gradients::kOverwrite),
                    models::gradient_graph(
                        model, B, T, config.grad_accumulation > 1 ? Gradients::kAccumulate : Gradients::kOverwrite),
                    {},
                    {0, models::evaluation_graph(model, B, T)},
                    {}};
  // First, so that its tensors lie in the order in which it walks them.
  ApplyGraph apply = apply_graph(model.parameters(), config);
  plan.clip = apply.clip;
  plan.apply = plan.workload.add("apply", std::move(apply.graph));
  plan.overwrite = plan.workload.add("gradients", std::move(plan.gradient.graph));
  plan.accumulate = plan.overwrite;
  if (config.grad_accumulation > 1)
    plan.accumulate = plan.workload.add("accumulate", std::move(plan.accumulating.graph));
  if (!with_extras) return plan;
  plan.evaluation.index = plan.workload.add("evaluate", std::move(plan.evaluation.handles.graph));
  if (config.sample_every > 0)
    plan.generation = infer::add_generation_graphs(plan.workload, model, model.config().n_positions);
  return plan;
}

std::string lowering_text(const TrainingPlan& plan) {
  const std::vector<std::size_t> graphs{plan.overwrite, plan.accumulate, plan.apply, plan.evaluation.index};
  return fmt::format("{:016x}", plan.workload.digest(graphs));
}

}  // namespace fabula::train
