#include "bench/head_costs.hpp"

#include <algorithm>
#include <numeric>

#include "base/byte_size.hpp"
#include "base/fail.hpp"
#include "bench/head_list.hpp"
#include "bench/machine.hpp"

namespace fabula::bench {
namespace {

constexpr std::string_view kHeadScope = "loss/head/";  // labels of the head's nodes, its backward pass included

std::uint64_t peak_within(const graph::PlannedGraph& planned, std::string_view scope) {
  const std::vector<graph::Node>& nodes = planned.graph.nodes();
  std::vector<std::int64_t> change(nodes.size() + 1, 0);  // of the bytes alive, by node
  for (const graph::Interval& interval : planned.program.arena.intervals) {
    change.at(static_cast<std::size_t>(interval.first)) += static_cast<std::int64_t>(interval.bytes);
    if (const auto end = static_cast<std::size_t>(interval.last) + 1; end < change.size())
      change[end] -= static_cast<std::int64_t>(interval.bytes);
  }
  std::int64_t alive = 0, peak = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    alive += change[i];
    if (nodes[i].label.starts_with(scope)) peak = std::max(peak, alive);
  }
  return static_cast<std::uint64_t>(peak);
}

}  // namespace

double step_flops(const train::TrainingPlan& plan, const TrainConfig& config) {
  const std::vector<graph::PlannedGraph>& graphs = plan.workload.graphs();
  return graph::total_cost(graphs[plan.graphs.overwrite.index].graph).flops *
             static_cast<double>(config.grad_accumulation) +
         graph::total_cost(graphs[plan.graphs.apply].graph).flops;
}

std::string fit_text(std::uint64_t bytes, std::uint64_t memory) {
  return bytes <= memory ? "" : fmt::format("does not fit: {:.0f} MiB of {:.0f} MiB", mib(bytes), mib(memory));
}

std::string fit_text(const Error& error) {
  const bool refused = error.code() == ErrorCode::kInvalidArgument;
  if (!refused && error.code() != ErrorCode::kOutOfMemory && error.code() != ErrorCode::kUnsupported) throw error;
  const std::string text = error.what();  // what is wrong comes first, advice after it
  return (refused ? "refused: " : "does not fit: ") + text.substr(0, text.find(';'));
}

void check_body(RunConfig config) {
  config.model.head = HeadConfig{.kind = HeadKind::kFused};
  config.model.tie_word_embeddings = true;
  models::gradient_graph(models::LanguageModel(config.model, {}, config.train.precision), config.train.batch_size,
                         config.sequence_length(), models::Gradients::kOverwrite);
}

StepCost step_cost(const graph::Target& target, std::uint64_t memory, const RunConfig& config) {
  const models::LanguageModel model(config.model, {}, config.train.precision);
  StepCost cost{.head_parameters = model.head().parameters().count(),
                .parameters = model.parameter_count(),
                .logits = heads::logits_text(model.head())};
  try {
    const train::TrainingPlan plan =
        train::plan_training(target, model, config.train, {.memory = memory, .with_extras = false});
    cost.bytes = plan.workload.report().total();
    cost.head_peak = peak_within(plan.workload.graphs()[plan.graphs.overwrite.index], kHeadScope);
    cost.flops = step_flops(plan, config.train);
    cost.why_not = fit_text(cost.bytes, memory);
  } catch (const Error& error) {
    cost.why_not = fit_text(error);
  }
  return cost;
}

Table compare_heads(const vk::DeviceInfo& device, const KernelChoices& choices, const RunConfig& base) {
  check_body(base);
  Table table{
      {"head", "head parameters", "parameters", "step MiB", "head peak MiB", "GFLOP/step", "logits/position", "fits"},
      {},
      {}};
  table.notes = {
      fmt::format("device: {}, {:.0f} MiB", device.profile.name, mib(device.usable_memory())),
      fmt::format("{}, vocabulary of {} tokens", step_note(base), base.model.vocab_size),
      "step: parameters, gradients, optimizer, activations, inputs; head peak: activations alive while the "
      "head runs, those that the body's gradient waits for included; transformer blocks are computed again in the "
      "backward pass as train.recompute says (auto: where a step does not fit otherwise)"};
  for (const HeadVariant& variant : head_variants(base)) {
    const StepCost cost = step_cost({device.profile, choices}, device.usable_memory(), variant.config);
    const bool planned = cost.bytes > 0;
    table.rows.push_back({variant.name, std::to_string(cost.head_parameters), std::to_string(cost.parameters),
                          planned ? fmt::format("{:.1f}", mib(cost.bytes)) : "",
                          planned ? fmt::format("{:.1f}", mib(cost.head_peak)) : "",
                          planned ? fmt::format("{:.3f}", 1e-9 * cost.flops) : "", cost.logits,
                          cost.why_not.empty() ? "yes" : cost.why_not});
  }
  return table;
}

}  // namespace fabula::bench
