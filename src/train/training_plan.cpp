#include "train/training_plan.hpp"

#include "formats/run_config.hpp"
#include "ops/op_table.hpp"
#include "train/apply_graph.hpp"
#include "train/gradient_tree.hpp"

namespace fabula::train {
namespace {
using models::Gradients;

/// Graphs over all that a step sums up, a pair of states each: the running sum and the one held in `place`.
using Join = std::function<void(graph::Graph&, graph::Value sum, const std::string& held)>;
graph::Graph sums_graph(const models::LanguageModel& model, std::int64_t place, const Join& join) {
  graph::Graph graph(ops::op_table());
  const auto add = [&](const std::string& sum, const std::string& name, const graph::Shape& shape) {
    join(graph, graph.state(sum, shape), fmt::format("{}held.{}.{}", graph::kGradientPrefix, place, name));
  };
  for (const graph::ParameterSpec& spec : model.trained_parameters())
    add(std::string(graph::kGradientPrefix) + spec.name, spec.name, spec.shape);
  add(models::kLossState, models::kLossState, {1, 1});
  return graph;
}

void add_held_sums(TrainingPlan& plan, const models::LanguageModel& model, std::int64_t count) {
  for (std::int64_t place = 0; place < count; ++place) {
    TrainingGraphs::HeldSum held;
    held.hold =
        plan.workload.add(fmt::format("hold {}", place),
                          sums_graph(model, place, [](graph::Graph& graph, graph::Value sum, const std::string& name) {
                            graph.store_as_state(graph.op1("cast", {sum}, {{"out", 0}}), name);
                          }));
    held.add =
        plan.workload.add(fmt::format("add held {}", place),
                          sums_graph(model, place, [](graph::Graph& graph, graph::Value sum, const std::string& name) {
                            graph.op("add_into", {sum, graph.state(name, graph.shape(sum))});
                          }));
    plan.graphs.held.push_back(held);
  }
}

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
  add_held_sums(plan, model, held_sums(config.grad_accumulation));
  if (!with_extras) return plan;
  graphs.evaluation = eval::add_evaluation_graph(plan.workload, model, B, T);
  if (config.sample_every > 0) graphs.session = infer::add_session_graphs(plan.workload, model, {});
  return plan;
}

}  // namespace

std::map<std::size_t, std::int64_t> runs_of_step(const TrainingGraphs& graphs, std::int64_t micro_batches) {
  std::map<std::size_t, std::int64_t> runs{{graphs.apply, 1}};
  std::size_t held = 0;
  for (const TreeStep& step : gradient_tree(micro_batches)) {
    if (step.hold) ++runs[graphs.held.at(held++).hold];
    ++runs[step.overwrite ? graphs.overwrite.index : graphs.accumulate.index];
    for (std::int64_t i = 0; i < step.add; ++i) ++runs[graphs.held.at(--held).add];
  }
  return runs;
}

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
  std::vector<std::size_t> graphs{plan.graphs.overwrite.index, plan.graphs.accumulate.index, plan.graphs.apply,
                                  plan.graphs.evaluation->index};
  for (const TrainingGraphs::HeldSum& held : plan.graphs.held) graphs.insert(graphs.end(), {held.hold, held.add});
  return fmt::format("{:016x}", plan.workload.digest(graphs));
}

}  // namespace fabula::train
