#include "models/loss_graph.hpp"

#include <algorithm>
#include <iterator>

#include "base/fail.hpp"
#include "models/token_inputs.hpp"
#include "ops/op_table.hpp"

namespace fabula::models {
using namespace graph;

namespace {

/// Sums a [1, N] value and keeps the sum; absent for an absent value.
Value kept_sum(Graph& graph, Value positions) {
  if (!positions) return {};
  const Value sum = graph.op1("sum_all", {positions});
  graph.keep(sum);
  return sum;
}

void keep_sums(Graph& graph, LossValues& values) {
  values.token_correct = kept_sum(graph, values.per_position.token_correct);
  values.group_correct = kept_sum(graph, values.per_position.group_correct);
  values.slot_correct = kept_sum(graph, values.per_position.slot_correct);
}

}  // namespace

LossGraph gradient_graph(const LanguageModel& model, std::int64_t batch, std::int64_t sequence, Gradients gradients,
                         const DifferentiateOptions& options) {
  LossGraph result{Graph(ops::op_table()), {}};
  Graph& graph = result.graph;
  LossValues& values = result.values;
  const BodyInputs inputs = token_inputs(graph, model, batch * sequence, heads::LossUse::kGradient);
  const Value hidden = model.body().hidden(graph, {batch, sequence, true, model.dtype()}, inputs);
  {
    Graph::Scope scope(graph, "loss");
    Value scale = graph.input("loss_scale", {1, 4}, DType::kF32);
    if (model.precision() == Precision::kFp16)
      scale = graph.op1("scale_by", {scale, graph.state(kLossScaleState, {1, 4})});
    values.per_position = model.head().loss(graph, hidden, heads::LossUse::kGradient, scale);
    values.loss = values.per_position.mean;
    graph.keep(values.loss);
    keep_sums(graph, values);
  }
  const std::vector<ParameterSpec> specs = model.trained_parameters();
  std::vector<Value> parameters;
  for (const ParameterSpec& spec : specs) parameters.push_back(ParameterSet::value_of(graph, spec));
  const Value one = graph.op1("fill", {}, {{"rows", 1}, {"cols", 1}, {"value", 1}});
  const auto state_name = [&](std::size_t i) { return std::string(kGradientPrefix) + specs[i].name; };
  DifferentiateOptions backward = options;
  if (gradients == Gradients::kAccumulate)  // as soon as it can be, so that no gradient outlives its making
    backward.on_final = [&](std::size_t i, Value gradient) {
      graph.op("add_into", {graph.state(state_name(i), specs[i].shape), gradient});
    };
  const std::vector<Value> d = differentiate(graph, std::vector<Seed>{{values.loss, one}}, parameters, backward);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    ensure(bool(d[i]), "the loss does not depend on \"{}\"", specs[i].name);
    if (gradients == Gradients::kOverwrite) graph.store_as_state(d[i], state_name(i));
  }
  if (gradients == Gradients::kOverwrite)
    graph.store_as_state(values.loss, kLossState);
  else
    graph.op("add_into", {graph.state(kLossState, {1, 1}), values.loss});
  return result;
}

LossGraph evaluation_graph(const LanguageModel& model, std::int64_t batch, std::int64_t sequence, bool keep_positions) {
  LossGraph result{Graph(ops::op_table()), {}};
  Graph& graph = result.graph;
  LossValues& values = result.values;
  const BodyInputs inputs = token_inputs(graph, model, batch * sequence, heads::LossUse::kValue);
  const Value hidden = model.body().hidden(graph, {batch, sequence, false, model.dtype()}, inputs);
  Graph::Scope scope(graph, "loss");
  values.per_position = model.head().loss(graph, hidden, heads::LossUse::kValue);
  values.loss = kept_sum(graph, values.per_position.loss);
  keep_sums(graph, values);
  if (keep_positions)
    for (Value value : {values.per_position.loss, values.per_position.group_loss, values.per_position.slot_loss})
      if (value) graph.keep(value);
  return result;
}

PlannedLoss add_loss_graph(Workload& workload, std::string name, LossGraph loss) {
  const std::size_t index = workload.add(std::move(name), std::move(loss.graph));
  return {index, loss.values};
}

BatchWords batch_words(const LanguageModel& model, std::span<const std::uint32_t> ids,
                       std::span<const std::uint32_t> labels, heads::LossUse use) {
  BatchWords words;
  for (std::uint32_t label : labels) words.counted += label != kIgnoredLabel;
  words.inputs = model.head().batch_inputs(labels, use);
  std::vector<heads::NamedWords> of_tokens = token_words(model, ids, use);
  std::move(of_tokens.begin(), of_tokens.end(), std::back_inserter(words.inputs));
  return words;
}

void set_batch(Runtime& runtime, std::size_t graph, const BatchWords& words) {
  set_inputs(runtime, graph, words.inputs);
}

}  // namespace fabula::models
