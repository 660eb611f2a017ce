#include "train/apply_graph.hpp"

#include <algorithm>

#include "graph/workload.hpp"
#include "models/loss_graph.hpp"
#include "ops/op_table.hpp"

namespace fabula::train {
using namespace graph;

namespace {

/// Parameters, gradients and moments, each in the order of `specs`: planned first, they lie alike in memory.
struct Tensors {
  std::vector<Value> params, grads, m, v;

  Tensors(Graph& graph, std::span<const ParameterSpec> specs) {
    const std::string prefix(kOptimizerPrefix);
    for (const ParameterSpec& spec : specs) params.push_back(ParameterSet::value_of(graph, spec));
    for (const ParameterSpec& spec : specs)
      grads.push_back(graph.state(std::string(kGradientPrefix) + spec.name, spec.shape));
    for (const ParameterSpec& spec : specs) m.push_back(graph.state(prefix + "m." + spec.name, spec.shape));
    for (const ParameterSpec& spec : specs) v.push_back(graph.state(prefix + "v." + spec.name, spec.shape));
  }
};

}  // namespace

ApplyGraph apply_graph(std::span<const ParameterSpec> parameters, const TrainConfig& config) {
  ApplyGraph result{Graph(ops::op_table()), {}};
  Graph& graph = result.graph;
  const Value hyper = graph.input("hyper", {1, 8}, DType::kF32), limits = graph.input("limits", {1, 4}, DType::kF32);
  std::vector<ParameterSpec> specs(parameters.begin(), parameters.end());
  const auto decayed = std::stable_partition(specs.begin(), specs.end(), [](const auto& spec) { return spec.decay; });
  const Tensors tensors(graph, specs);
  std::vector<Value> clipped{limits};
  clipped.insert(clipped.end(), tensors.grads.begin(), tensors.grads.end());
  result.clip = graph.op("clip_scale", std::span<const Value>(clipped)).front();
  Value loss_scale;
  if (config.precision == Precision::kFp16) loss_scale = graph.state(models::kLossScaleState, {1, 4});
  graph.op("guard_step", {result.clip, graph.state(models::kLossState, {1, 1}), limits,
                          graph.state(kHaltedState, {1, 1}), loss_scale});
  graph.keep(result.clip);
  const auto update = [&](std::ptrdiff_t begin, std::ptrdiff_t end, double decay) {
    if (begin == end) return;
    std::vector<Value> inputs{hyper, result.clip};
    for (const std::vector<Value>* kind : {&tensors.params, &tensors.grads, &tensors.m, &tensors.v})
      inputs.insert(inputs.end(), kind->begin() + begin, kind->begin() + end);
    graph.op("adamw", std::span<const Value>(inputs), {{"decay", decay}});
  };
  const std::ptrdiff_t split = decayed - specs.begin(), count = specs.end() - specs.begin();
  update(0, split, config.weight_decay);
  update(split, count, 0);
  return result;
}

}  // namespace fabula::train
