#include "bench/train_bench.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "bench/machine.hpp"
#include "models/weights.hpp"
#include "train/schedule.hpp"
#include "train/trainer.hpp"

namespace fabula::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct HeadChoice {
  std::string name;
  HeadKind kind;
  bool tied;
};
const std::vector<HeadChoice> kHeads{{"grouped", HeadKind::kGrouped, false}, {"full, tied", HeadKind::kFull, true}};

/// One model's training step on random ids.
class StepBench {
 public:
  StepBench(vk::Device& device, const RunConfig& config, bool timed = false)
      : config_(config),
        model_(config.model),
        plan_(train::plan_training(device.profile(), model_, config.train, false)),
        runtime_(device, std::move(plan_.workload), timed) {
    models::initialise_weights(runtime_, model_, 1);
    for (const char* moment : {"adam.m.", "adam.v."})
      for (const graph::ParameterSpec& spec : model_.parameters())
        runtime_.upload(moment + spec.name, std::vector<float>(static_cast<std::size_t>(spec.shape.count()), 0.0f));
    const std::vector<float> limits{static_cast<float>(config.train.clip_norm), 0, 0, 0};
    runtime_.set_input(plan_.apply, "limits", std::span<const float>(limits));
  }

  std::int64_t tokens() const { return config_.train.batch_size * train::sequence_length(config_); }
  const models::LanguageModel& model() const { return model_; }
  const graph::Runtime& runtime() const { return runtime_; }
  std::vector<std::size_t> graphs() const { return {plan_.overwrite, plan_.apply}; }

  double step(std::int64_t number) {
    Philox random(7, static_cast<std::uint64_t>(number));
    std::vector<std::uint32_t> ids(static_cast<std::size_t>(tokens())), labels(ids.size());
    const auto V = static_cast<std::uint32_t>(config_.model.vocab_size);
    for (std::uint32_t& id : ids) id = random.below(V);
    for (std::uint32_t& label : labels) label = random.below(V);
    const auto start = Clock::now();
    models::set_batch(runtime_, plan_.overwrite, models::batch_words(model_, ids, labels, heads::LossUse::kGradient));
    const std::vector<float> scale{1.0f / static_cast<float>(tokens()), 0, 0, 0};
    runtime_.set_input(plan_.overwrite, "loss_scale", std::span<const float>(scale));
    if (config_.model.embd_dropout > 0 || config_.model.resid_dropout > 0) {
      const std::vector<std::uint32_t> seed{1, 0, static_cast<std::uint32_t>(number), 0};
      runtime_.set_input(plan_.overwrite, "seed", std::span<const std::uint32_t>(seed));
    }
    const std::array<float, 8> hyper = train::adamw_hyper(config_.train, 1e-4, number);
    runtime_.set_input(plan_.apply, "hyper", std::span<const float>(hyper));
    runtime_.submit({plan_.overwrite, plan_.apply});
    runtime_.wait();
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

 private:
  const RunConfig& config_;
  models::LanguageModel model_;
  train::TrainingPlan plan_;
  graph::Runtime runtime_;
};

/// One op's share of a step.
struct OpShare {
  std::vector<double> seconds;  ///< by step
  int launches = 0;
  graph::Cost cost;
};

/// "h.3/matmul:matmul_merge" is of the op matmul.
std::string op_of(const std::string& label) {
  const std::size_t slash = label.rfind('/');
  const std::string name = slash == std::string::npos ? label : label.substr(slash + 1);
  return name.substr(0, name.find(':'));
}

std::vector<std::string> measure(const vk::DeviceOptions& options, const RunConfig& config, const std::string& name,
                                 int steps) {
  const std::unique_ptr<vk::Device> device = vk::Device::open(options);  // one a head: peaks are then its own
  StepBench bench(*device, config);
  std::vector<double> times;
  for (int number = 1; number <= steps + 2; ++number) {
    const double seconds = bench.step(number);
    if (number > 2) times.push_back(seconds);
    info("{}: step {} took {:.1f} ms", name, number, 1e3 * seconds);
  }
  const double seconds = median(times);
  return {name, fmt::format("{:.2f}", 1e-6 * double(bench.model().parameter_count())),
          fmt::format("{:.2f}", 1e3 * seconds), fmt::format("{:.0f}", double(bench.tokens()) / seconds),
          fmt::format("{}", device->peak_allocated() >> 20)};
}

}  // namespace

Table profile_train(const vk::DeviceOptions& options, const RunConfig& config, const TrainBenchOptions& bench_options) {
  const std::unique_ptr<vk::Device> device = vk::Device::open(options);
  if (!device->profile().features.timestamps)
    fail(ErrorCode::kUnsupported, "{} has no timestamps: no profile", device->profile().name);
  StepBench bench(*device, config, true);
  std::map<std::string, OpShare> shares;
  for (const std::size_t g : bench.graphs()) {
    const graph::Graph& graph = bench.runtime().workload().graphs()[g].graph;
    for (const graph::Node& node : graph.nodes()) {
      const graph::Cost cost = graph::cost_of(graph, node);
      graph::Cost& sum = shares[std::string(node.op->def->name)].cost;
      sum.flops += cost.flops;
      sum.bytes += cost.bytes;
    }
  }
  std::vector<double> totals;
  for (int number = 1; number <= bench_options.steps + 2; ++number) {
    bench.step(number);
    if (number <= 2) continue;
    std::map<std::string, double> seconds;
    double total = 0;
    for (auto& [name, share] : shares) share.launches = 0;
    for (const std::size_t g : bench.graphs()) {
      for (const vk::CommandList::Timing& timing : bench.runtime().timings(g)) {
        seconds[op_of(timing.label)] += timing.seconds;
        ++shares[op_of(timing.label)].launches;
        total += timing.seconds;
      }
    }
    for (const auto& [name, s] : seconds) shares[name].seconds.push_back(s);
    totals.push_back(total);
  }
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [name, share] : shares)
    if (!share.seconds.empty()) order.emplace_back(-median(share.seconds), name);
  std::sort(order.begin(), order.end());
  Table table{{"op", "launches", "ms", "share", "GFLOP/s", "GB/s"}, {}, machine_notes(*device)};
  table.notes.push_back(fmt::format("kernels take {:.2f} ms of a step", 1e3 * median(totals)));
  for (const auto& [negative, name] : order) {
    const OpShare& share = shares.at(name);
    table.rows.push_back({name, std::to_string(share.launches), fmt::format("{:.3f}", -1e3 * negative),
                          fmt::format("{:.1f} %", -100 * negative / median(totals)),
                          fmt::format("{:.0f}", -1e-9 * share.cost.flops / negative),
                          fmt::format("{:.0f}", -1e-9 * share.cost.bytes / negative)});
  }
  return table;
}

Table bench_train(const vk::DeviceOptions& device, const RunConfig& config, const TrainBenchOptions& options) {
  Table table{{"head", "M parameters", "ms/step", "tokens/s", "peak MiB"}, {}, {}};
  table.notes = machine_notes(*vk::Device::open(device));
  table.notes.push_back(fmt::format("{} layers, hidden {}, {} heads, {} tokens, batch {} x {}, fp32",
                                    config.model.layers, config.model.hidden, config.model.heads,
                                    config.model.vocab_size, config.train.batch_size, train::sequence_length(config)));
  for (const HeadChoice& head : kHeads) {
    if (head.name.find(options.filter) == std::string::npos) continue;
    RunConfig variant = config;
    variant.model.head = config.model.head.kind == head.kind ? config.model.head : HeadConfig{};
    variant.model.head.kind = head.kind;
    variant.model.tie_word_embeddings = head.tied;
    try {
      table.rows.push_back(measure(device, variant, head.name, options.steps));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutOfMemory) throw;
      info("{}: {}", head.name, error.what());
      table.rows.push_back({head.name, "", "does not fit", "", ""});
    }
  }
  return table;
}

}  // namespace fabula::bench
