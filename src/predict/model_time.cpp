#include "predict/model_time.hpp"

#include <cmath>

namespace fabula::predict {
namespace {

constexpr double kSubmissionSeconds = 0.5;  // of work, as src/vk cuts it (vk::Quirks::submit_seconds)

Prediction& operator+=(Prediction& sum, const Prediction& one) {
  sum.seconds += one.seconds;
  sum.launch_seconds += one.launch_seconds;
  sum.other_seconds += one.other_seconds;
  sum.flops += one.flops;
  sum.bytes += one.bytes;
  sum.launches += one.launches;
  return sum;
}

/// One run of a graph's kernels.
Prediction predict_kernels(const GraphWork& work, const KernelTimes& times) {
  Prediction sum;
  for (const NodeWork& node : work.nodes) {
    const KernelTimes::Time time = times.time_of(node, work);
    sum.seconds += time.seconds;
    sum.launch_seconds += time.fixed;
    if (!time.measured) sum.other_seconds += time.seconds;
    sum.flops += node.flops;
    sum.bytes += node.stored_bytes + node.other_bytes;
    sum.launches += static_cast<std::size_t>(node.launches);
  }
  return sum;
}

/// What is copied between host and device around a graph's kernels, once a submission.
double copy_seconds(const GraphWork& work, const tuning::DeviceSpeed& speed) {
  const auto seconds = [](double bytes, const tuning::Figure& rate) { return rate.value > 0 ? bytes / rate.value : 0; };
  return seconds(work.input_bytes, speed.upload) + seconds(work.result_bytes, speed.download);
}

void add_submissions(Prediction& prediction, double count, const tuning::DeviceSpeed& speed) {
  prediction.seconds += count * speed.submission.value;
  prediction.launch_seconds += count * speed.submission.value;
}

}  // namespace

Prediction predict_step(const train::TrainingPlan& plan, const TrainConfig& config, const KernelTimes& times) {
  Prediction step;
  const auto add = [&](std::size_t graph, std::int64_t runs) {
    const GraphWork work = work_of(plan.workload.graphs()[graph]);
    Prediction one = predict_kernels(work, times);
    one.seconds += copy_seconds(work, times.speed());
    for (std::int64_t run = 0; run < runs; ++run) step += one;
  };
  for (const auto& [graph, runs] : train::runs_of_step(plan.graphs, config.grad_accumulation)) add(graph, runs);
  add_submissions(step, std::ceil(step.seconds / kSubmissionSeconds), times.speed());
  return step;
}

DecodePrediction predict_token(const graph::Target& target, const models::LanguageModel& model,
                               const infer::SessionOptions& options, std::int64_t context, const KernelTimes& times) {
  graph::Workload workload(target);
  const infer::SessionGraphs graphs = infer::add_session_graphs(workload, model, options);
  const graph::PlannedGraph& step = workload.graphs()[graphs.steps.back().index];
  const GraphWork work = work_of(step, [&](const graph::Graph& graph, const graph::Node& node) {
    return decode_cost(graph, node, static_cast<double>(context));
  });
  DecodePrediction prediction{.token = predict_kernels(work, times), .bytes = workload.report().total()};
  const auto at_once = static_cast<double>(graphs.options.most_tokens_at_once);
  prediction.token.seconds += copy_seconds(work, times.speed()) / at_once;
  add_submissions(prediction.token, 1 / at_once, times.speed());
  return prediction;
}

}  // namespace fabula::predict
