#include "bench/speed_bench.hpp"

#include <algorithm>
#include <chrono>
#include <span>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/median.hpp"
#include "bench/decode_session.hpp"
#include "bench/machine.hpp"
#include "bench/profile.hpp"
#include "bench/roof.hpp"
#include "bench/step_bench.hpp"
#include "predict/kernel_times.hpp"

namespace fabula::bench {
namespace {

constexpr int kTimedSteps = 5;
constexpr double kWarmUpSeconds = 0.3;  // of work: a GPU that was idle runs slower at first
constexpr double kSmallestCopy = 64 << 10;
constexpr double kLeastShareOfTime = 0.1;  // of a launch's time that counts as work, however much its fixed cost is

/// A model whose kernels are timed: between the sizes that people train, and none of them.
struct TimedModel {
  std::int64_t hidden, heads, layers, sequence, batch, vocabulary;
  HeadKind head;
  HeadModulation modulation = HeadModulation::kScaleShift;
  Precision precision = Precision::kFp32;
};

const std::vector<TimedModel>& timed_models() {
  static const std::vector<TimedModel> models{
      {96, 6, 2, 96, 4, 5000, HeadKind::kGrouped},
      {192, 8, 2, 192, 4, 12000, HeadKind::kGrouped, HeadModulation::kPerGroup},
      {192, 8, 1, 128, 4, 12000, HeadKind::kFull, HeadModulation::kScaleShift, Precision::kFp16},
      {320, 10, 1, 384, 4, 24000, HeadKind::kFused},
      {448, 7, 1, 256, 2, 40000, HeadKind::kGrouped, HeadModulation::kPerGroup},
      {640, 10, 2, 192, 2, 32000, HeadKind::kFull},
      {640, 10, 1, 256, 2, 32000, HeadKind::kGrouped, HeadModulation::kScaleShift, Precision::kFp16},
      {1024, 16, 1, 128, 2, 48000, HeadKind::kFull},
  };
  return models;
}

/// More sequences on a device that would be through with these before it is at work.
std::int64_t scaled_batch(const TimedModel& model, double flops) {
  constexpr double kSlow = 1e12;
  return model.batch * std::clamp<std::int64_t>(static_cast<std::int64_t>(flops / kSlow), 1, 16);
}

RunConfig config_of(const TimedModel& model, double flops) {
  RunConfig config = default_config(ModelFamily::kGpt2);
  config.model.hidden = model.hidden;
  config.model.heads = model.heads;
  config.model.layers = model.layers;
  config.model.n_positions = model.sequence;
  config.model.vocab_size = model.vocabulary;
  config.model.head.kind = model.head;
  config.model.head.modulation = model.modulation;
  if (model.head == HeadKind::kGrouped) {
    config.model.head.bias = true;
    config.model.head.class_input = true;
    config.model.tie_word_embeddings = model.modulation == HeadModulation::kPerGroup;
    if (model.modulation == HeadModulation::kPerGroup) config.model.head.shortlist = 200;
  }
  config.train.batch_size = scaled_batch(model, flops);
  config.train.precision = model.precision;
  config.train.recompute = Recompute::kNone;
  validate_config(config, "a model to be timed");
  return config;
}

/// The times of a graph's nodes over some runs, made into shares of the roof.
class TimedNodes {
 public:
  TimedNodes(const graph::PlannedGraph& planned, const predict::CostOf& cost_of)
      : work_(predict::work_of(planned, cost_of)), seconds_(work_.nodes.size()) {}

  void add_run(const std::vector<vk::CommandList::Timing>& timings) {
    for (std::size_t n = 0; n < work_.nodes.size(); ++n) {
      const predict::NodeWork& node = work_.nodes[n];
      double sum = 0;
      for (int i = 0; i < node.launches; ++i) sum += timings.at(node.first_step + static_cast<std::size_t>(i)).seconds;
      seconds_[n].push_back(sum);
    }
  }

  void add_to(tuning::DeviceSpeed& speed, double launch) const {
    for (std::size_t n = 0; n < work_.nodes.size(); ++n) {
      const predict::NodeWork& node = work_.nodes[n];
      const double roof = predict::roof_seconds(speed, node, work_), took = median(seconds_[n]);
      if (roof <= 0 || took <= 0) continue;
      const double working = std::max(took - node.launches * launch, kLeastShareOfTime * took);
      speed.kernels[node.key].push_back({roof, roof / working});
    }
  }

 private:
  predict::GraphWork work_;
  std::vector<std::vector<double>> seconds_;  ///< by node, by run
};

/// Runs until a device is warm.
template <class Run>
void warm_up(const Run& run) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  for (int done = 0; done < kWarmUpSteps || Clock::now() - start < std::chrono::duration<double>(kWarmUpSeconds);
       ++done)
    run();
}

/// Times what models do, on one device.
class KernelTimer {
 public:
  KernelTimer(vk::Device& device, const KernelChoices& choices, tuning::DeviceSpeed& speed, double launch)
      : device_(device), choices_(choices), speed_(speed), launch_(launch) {}

  void training(const RunConfig& config) {
    StepBench bench(device_, choices_, config, {}, nullptr, true);
    const auto& graphs = bench.runtime().workload().graphs();
    std::map<std::size_t, TimedNodes> nodes;
    for (const std::size_t index : {bench.graphs().overwrite.index, bench.graphs().apply})
      nodes.emplace(index, TimedNodes(graphs[index], graph::cost_of));
    warm_up([&] { bench.step(); });
    for (int step = 0; step < kTimedSteps; ++step) {
      bench.step();
      for (auto& [index, timed] : nodes) timed.add_run(bench.runtime().timings(index));
    }
    for (const auto& [index, timed] : nodes) timed.add_to(speed_, launch_);
  }

  void decoding(const RunConfig& config) {
    const models::LanguageModel model(config.model);
    DecodeSession session(device_, choices_, model, nullptr, {.slots = 1}, true);
    const std::int64_t keys = session.context() / 2;
    session.fill(keys);
    TimedNodes nodes(session.step(), [&](const graph::Graph& graph, const graph::Node& node) {
      return predict::decode_cost(graph, node, static_cast<double>(keys));
    });
    for (int step = 1; step <= kWarmUpSteps + 2 * kTimedSteps; ++step) {
      session.advance_once();
      if (step <= kWarmUpSteps) continue;
      nodes.add_run(session.runtime().timings(session.step_graph()));
    }
    nodes.add_to(speed_, launch_);
  }

 private:
  vk::Device& device_;
  const KernelChoices& choices_;
  tuning::DeviceSpeed& speed_;
  double launch_;
};

void measure_kernels(vk::Device& device, const KernelChoices& choices, tuning::DeviceSpeed& speed, double launch,
                     bool quick) {
  KernelTimer timer(device, choices, speed, launch);
  const std::span<const TimedModel> models = timed_models();
  for (const TimedModel& model : models.first(quick ? 1 : models.size())) {
    const RunConfig config = config_of(model, speed.flops.value);
    log_progress(
        fmt::format("timing the kernels of a model of hidden {}, {}", model.hidden, precision_name(model.precision)));
    try {
      timer.training(config);
      if (model.precision == Precision::kFp32) timer.decoding(config);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutOfMemory) throw;
      info("hidden {}: {}", model.hidden, error.what());
    }
  }
  log_progress({});
  for (auto& [key, points] : speed.kernels) points = predict::thinned(std::move(points));
}

std::string size_name(double bytes) {
  return bytes >= 1 << 20 ? fmt::format("{:.0f} MiB", bytes / (1 << 20)) : fmt::format("{:.0f} KiB", bytes / (1 << 10));
}

}  // namespace

tuning::DeviceSpeed measure_speed(vk::Device& device, const KernelChoices& choices, bool quick) {
  require_timestamps(device);
  tuning::DeviceSpeed speed;
  speed.name = device.info().name;
  speed.note = fmt::format("measured by {}, driver {}", program_text(), device.info().driver);
  speed.profile = device.profile();
  speed.limits_source = "as the driver says";
  speed.choices = choices;
  speed.memory = {static_cast<double>(device.info().usable_memory()), "as the driver says"};
  const Roof roof = measure_roof(device);
  const FixedCosts costs = measure_fixed_costs(device);
  const TransferRates transfers = measure_transfers(device);
  speed.flops = {roof.flops, "measured: fp32 multiply-adds from registers"};
  speed.copies_source = "measured: copies of vec4s, launches' cost aside";
  for (double bytes = kSmallestCopy; bytes < largest_copy(device); bytes *= 4)
    speed.copies.push_back({bytes, measure_copies(device, bytes, costs.launch)});
  speed.copies.push_back({largest_copy(device), roof.bytes});
  speed.launch = {costs.launch, "measured: a row of launches of one workgroup, each waiting for the one before"};
  speed.submission = {costs.submission, "measured: one such launch, until the host knows that it is over"};
  speed.upload = {transfers.upload, "measured: 16 MiB through staging"};
  speed.download = {transfers.download, "measured: 16 MiB through staging"};
  speed.kernels_source = fmt::format("measured: training and decoding steps of {}, each kernel alone",
                                     quick ? "one small model" : "eight models");
  measure_kernels(device, choices, speed, costs.timed, quick);
  return speed;
}

Table speed_table(const tuning::DeviceSpeed& speed) {
  Table table{{"what", "value", "unit", "source"}, {}, {}};
  const auto add = [&](std::string what, double value, const char* unit, const std::string& source) {
    table.rows.push_back({std::move(what), fmt::format("{:.4g}", value), unit, source});
  };
  add("multiply-adds", 1e-9 * speed.flops.value, "GFLOP/s", speed.flops.source);
  for (const tuning::CopyRate& copy : speed.copies)
    add("copies of " + size_name(copy.bytes), 1e-9 * copy.per_second, "GB/s", speed.copies_source);
  add("a launch", 1e6 * speed.launch.value, "us", speed.launch.source);
  add("a submission", 1e6 * speed.submission.value, "us", speed.submission.source);
  if (speed.upload.value > 0) add("to the device", 1e-9 * speed.upload.value, "GB/s", speed.upload.source);
  if (speed.download.value > 0) add("from the device", 1e-9 * speed.download.value, "GB/s", speed.download.source);
  add("memory", speed.memory.value / (1 << 20), "MiB", speed.memory.source);
  for (const auto& [key, points] : speed.kernels)
    add(key, 100 * points.back().share, "% of roof",
        fmt::format("with {:.3g} ms of work; {} sizes", 1e3 * points.back().roof_seconds, points.size()));
  return table;
}

}  // namespace fabula::bench
