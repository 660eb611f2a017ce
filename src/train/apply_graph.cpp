#include "train/apply_graph.hpp"

#include "graph/workload.hpp"
#include "models/loss_graph.hpp"
#include "ops/op_table.hpp"

namespace fabula::train {
using namespace graph;

ApplyGraph apply_graph(std::span<const ParameterSpec> parameters, const TrainConfig& config) {
  ApplyGraph result{Graph(ops::op_table()), {}};
  Graph& graph = result.graph;
  const Value hyper = graph.input("hyper", {1, 8}, DType::kF32), limits = graph.input("limits", {1, 4}, DType::kF32);
  const Value norms = graph.op1("fill", {}, {{"rows", double(parameters.size())}, {"cols", 256}, {"value", 0}});
  std::vector<Value> gradients;
  for (const ParameterSpec& spec : parameters) {
    gradients.push_back(graph.state(std::string(kGradientPrefix) + spec.name, spec.shape));
    graph.op("sum_squares", {gradients.back(), norms}, {{"row", double(gradients.size() - 1)}});
  }
  result.clip = graph.op1("clip_scale", {norms, limits});
  graph.op("guard_step",
           {result.clip, graph.state(models::kLossState, {1, 1}), limits, graph.state(kHaltedState, {1, 1})});
  graph.keep(result.clip);
  const std::string prefix(kOptimizerPrefix);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const ParameterSpec& spec = parameters[i];
    graph.op("adamw",
             {graph.parameter(spec.name, spec.shape), gradients[i], graph.state(prefix + "m." + spec.name, spec.shape),
              graph.state(prefix + "v." + spec.name, spec.shape), hyper, result.clip},
             {{"decay", spec.decay ? config.weight_decay : 0.0}});
  }
  return result;
}

}  // namespace fabula::train
