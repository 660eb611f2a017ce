#include "bench/head_alone.hpp"

#include <chrono>

#include "base/fail.hpp"
#include "base/philox.hpp"
#include "models/token_inputs.hpp"
#include "ops/op_table.hpp"

namespace fabula::bench {
namespace {

using graph::Value;

constexpr const char* kHidden = "h";
constexpr std::size_t kGraph = 0;  // the workload's only one

}  // namespace

graph::Workload plan_head_alone(const graph::Target& target, const models::LanguageModel& model,
                                std::int64_t positions) {
  graph::Graph graph(ops::op_table());
  // A parameter: it outlives the run and takes a gradient.
  std::vector<Value> wanted{graph.parameter(kHidden, {positions, model.config().hidden, model.dtype()})};
  std::vector<std::string> names{kHidden};
  const Value scale = graph.input("loss_scale", {1, 4}, graph::DType::kF32);
  const Value mean = model.head().loss(graph, wanted[0], heads::LossUse::kGradient, scale).mean;
  graph.keep(mean);
  for (const graph::ParameterSpec& spec : model.parameters()) {
    const Value parameter = graph.find(spec.name);  // the head's own, and the embedding where it is tied
    if (!parameter) continue;
    wanted.push_back(parameter);
    names.push_back(spec.name);
  }
  const Value one = graph.op1("fill", {}, {{"rows", 1}, {"cols", 1}, {"value", 1}});
  const std::vector<Value> gradients = differentiate(graph, std::vector<graph::Seed>{{mean, one}}, wanted);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    ensure(bool(gradients[i]), "the loss does not depend on \"{}\"", names[i]);
    graph.store_as_state(gradients[i], std::string(graph::kGradientPrefix) + names[i]);
  }
  graph::Workload workload(target);
  workload.add("head", std::move(graph));
  return workload;
}

HeadAloneBench::HeadAloneBench(vk::Device& device, const models::LanguageModel& model, graph::Workload workload,
                               BenchBatches batches)
    : model_(model), runtime_(device, std::move(workload)), batches_(std::move(batches)) {
  upload_weights(runtime_, model);
  Philox random(2);
  std::vector<float> hidden(static_cast<std::size_t>(runtime_.workload().stored().find(kHidden)->second.shape.count()));
  for (float& value : hidden) value = static_cast<float>(random.normal());  // about a layer norm's output
  runtime_.upload(kHidden, hidden);
}

double HeadAloneBench::step(std::int64_t number) {
  const text::Batch batch = batches_.batch(number);
  models::set_inputs(runtime_, kGraph, model_.head().batch_inputs(batch.labels, heads::LossUse::kGradient));
  const std::vector<float> scale{1.0f / static_cast<float>(batch.labels.size()), 0, 0, 0};
  runtime_.set_input(kGraph, "loss_scale", std::span<const float>(scale));
  const auto start = std::chrono::steady_clock::now();
  runtime_.submit({kGraph});
  runtime_.wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace fabula::bench
