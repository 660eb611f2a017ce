#include "bench/tune.hpp"

#include <algorithm>
#include <set>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/median.hpp"
#include "bench/machine.hpp"
#include "bench/step_bench.hpp"
#include "eval/evaluate.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::bench {
namespace {

constexpr double kClearlyFaster = 0.98;       // of the default's time: less could be chance
constexpr double kClearlyFasterStep = 0.995;  // the same of a whole step

/// A shape of an op that has a choice of kernels.
struct Candidate {
  std::string op, shape;
  std::vector<std::string> variants;
  std::vector<std::vector<double>> seconds;  ///< of one node, by variant
  std::set<std::string> shaders;
  int runs = 0;  ///< a training step
};
using Candidates = std::map<std::string, Candidate>;  // by signature

/// A graph that is timed, and how often it runs in a training step.
struct TimedGraph {
  const graph::PlannedGraph* planned;
  int runs;
};

/// Some of the values' shapes, for the table: "16384x256 256x768"; the optimizer takes a hundred.
std::string shapes_text(const graph::Graph& graph, const std::vector<graph::Value>& values) {
  constexpr std::size_t kMostShown = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(values.size(), kMostShown); ++i)
    text += (i > 0 ? " " : "") + (values[i] ? graph::to_string(graph.shape(values[i])) : std::string("-"));
  return values.size() > kMostShown ? fmt::format("{} and {} more", text, values.size() - kMostShown) : text;
}

/// "transpose_b=1 16384x256 768x256 -> 16384x768".
std::string shape_text(const graph::Graph& graph, const graph::Node& node) {
  std::string text;
  for (const auto& [name, value] : node.attrs.entries()) text += fmt::format("{}={} ", name, value);
  return text + shapes_text(graph, node.inputs) + " -> " + shapes_text(graph, node.outputs);
}

std::string signature_of(const graph::Graph& graph, const graph::Node& node, const vk::DeviceProfile& profile) {
  const std::vector<std::string> variants = graph::variants_of(graph, node, profile);
  return variants.size() > 1 ? graph::node_signature(graph, node, variants) : std::string();
}

class Tuner {
 public:
  /// The config must outlive this.
  Tuner(vk::Device& device, const RunConfig& config, const TuneOptions& options)
      : device_(device), config_(config), options_(options) {}

  /// Runs everything with variant number `round` wherever there are so many; false when no node has.
  bool measure(std::size_t round) {
    KernelChoices choices;
    for (const auto& [signature, candidate] : candidates_)
      choices[signature] = candidate.variants[std::min(round, candidate.variants.size() - 1)];
    const bool any = round == 0 || std::any_of(candidates_.begin(), candidates_.end(),
                                               [&](const auto& entry) { return round < entry.second.variants.size(); });
    if (!any) return false;
    info("tuning: round {}", round + 1);
    measure_steps(round, choices);
    measure_evaluation(round, choices);
    return true;
  }

  const Candidates& candidates() const { return candidates_; }

 private:
  void measure_steps(std::size_t round, const KernelChoices& choices) {
    StepBench bench(device_, choices, config_, {}, nullptr, true);
    const train::TrainingGraphs& of_step = bench.graphs();
    const auto& graphs = bench.runtime().workload().graphs();
    std::map<std::size_t, int> runs;
    for (const auto& [graph, count] : train::runs_of_step(of_step, config_.train.grad_accumulation))
      runs[graph] = static_cast<int>(count);
    for (const auto& [graph, count] : runs) begin(graphs[graph], round, count);
    for (int step = 1; step <= kWarmUpSteps + options_.steps; ++step) {
      bench.step();
      if (step <= kWarmUpSteps) continue;
      for (const auto& [graph, count] : runs) take(graphs[graph], bench.runtime().timings(graph), round);
    }
  }

  void measure_evaluation(std::size_t round, const KernelChoices& choices) {
    const models::LanguageModel model(config_.model, {}, config_.train.precision);
    graph::Workload workload({device_.profile(), choices});
    const std::int64_t T = config_.sequence_length();
    const models::PlannedLoss evaluation = eval::add_evaluation_graph(workload, model, config_.train.batch_size, T);
    graph::Runtime runtime(device_, std::move(workload), {.timed = true});
    upload_weights(runtime, model);
    const text::Batch batch = BenchBatches(config_, nullptr).batch(0);
    models::set_batch(runtime, evaluation.index,
                      models::batch_words(model, batch.ids, batch.labels, heads::LossUse::kValue));
    const graph::PlannedGraph& planned = runtime.workload().graphs()[evaluation.index];
    begin(planned, round, 0);
    for (int run = 1; run <= kWarmUpSteps + options_.steps; ++run) {
      runtime.submit({evaluation.index});
      runtime.wait();
      if (run > kWarmUpSteps) take(planned, runtime.timings(evaluation.index), round);
    }
  }

  /// Notes what a graph has to choose, in the first round, and what it runs.
  void begin(const graph::PlannedGraph& planned, std::size_t round, int runs) {
    for (const graph::Node& node : planned.graph.nodes()) {
      const std::string signature = signature_of(planned.graph, node, device_.profile());
      if (signature.empty()) continue;
      Candidate& candidate = candidates_[signature];
      candidate.op = node.op->def->name;
      candidate.shape = shape_text(planned.graph, node);
      candidate.variants =
          without_worse(planned.graph, node, graph::variants_of(planned.graph, node, device_.profile()));
      candidate.seconds.resize(candidate.variants.size());
      if (round == 0) candidate.runs += runs;
    }
  }

  /// The variants of which the driver's compiler spills fewest registers: the others are left out, since what spilled
  /// registers cost depends on what else uses the memory. All of them where the driver does not tell.
  std::vector<std::string> without_worse(const graph::Graph& graph, const graph::Node& node,
                                         std::vector<std::string> variants) {
    if (!device_.tells_statistics()) return variants;
    std::vector<std::uint64_t> faults;
    for (const std::string& variant : variants) {
      std::uint64_t most = 0;
      for (const vk::KernelKey& kernel : graph::kernels_of(graph, node, device_.profile(), variant))
        most = std::max(most, fault_of(kernel));
      faults.push_back(most);
    }
    const std::uint64_t fewest = *std::min_element(faults.begin(), faults.end());
    std::vector<std::string> left;
    for (std::size_t v = 0; v < variants.size(); ++v)
      if (faults[v] == fewest) left.push_back(std::move(variants[v]));
    return left;
  }

  /// What the driver makes of a kernel: asked once, then known beside its pipeline cache.
  std::uint64_t fault_of(const vk::KernelKey& kernel) {
    if (const auto known = device_.profile().faults.find(to_string(kernel)); known != device_.profile().faults.end())
      return known->second;
    const vk::CompiledKernel compiled = device_.compile(kernel);
    const std::uint64_t fault = compiled.statistics ? compiled.statistics->fault() : 0;
    device_.note_fault(kernel, fault);
    return fault;
  }

  /// Adds the times of a graph's last run.
  void take(const graph::PlannedGraph& planned, const std::vector<vk::CommandList::Timing>& timings,
            std::size_t round) {
    const std::vector<graph::Step>& steps = planned.program.steps;
    ensure(timings.size() == steps.size(), "{} timings of {} launches", timings.size(), steps.size());
    std::vector<double> seconds(planned.graph.nodes().size(), 0.0);
    for (std::size_t i = 0; i < steps.size(); ++i)
      seconds[static_cast<std::size_t>(steps[i].node)] += timings[i].seconds;
    for (std::size_t n = 0; n < seconds.size(); ++n) {
      const std::string signature = signature_of(planned.graph, planned.graph.nodes()[n], device_.profile());
      const auto candidate = candidates_.find(signature);
      if (signature.empty() || round >= candidate->second.variants.size()) continue;
      candidate->second.seconds[round].push_back(seconds[n]);
      for (const graph::Step& step : steps)
        if (step.node == static_cast<std::int32_t>(n) && !step.shader.empty())
          candidate->second.shaders.insert(step.shader);
    }
  }

  vk::Device& device_;
  const RunConfig& config_;
  TuneOptions options_;
  Candidates candidates_;
};

struct Choice {
  std::size_t chosen = 0;
  std::vector<double> seconds;  ///< medians, by variant; 0 where none was taken
  double gain() const { return seconds.front() - seconds[chosen]; }
  bool measured() const { return seconds.front() > 0; }  ///< else its time was below the device clock's tick
};

Choice choose(const Candidate& candidate) {
  Choice choice;
  for (const std::vector<double>& seconds : candidate.seconds)
    choice.seconds.push_back(seconds.empty() ? 0 : median(seconds));
  double best = kClearlyFaster * choice.seconds.front();
  for (std::size_t v = 1; v < choice.seconds.size(); ++v) {
    if (choice.seconds[v] <= 0 || choice.seconds[v] >= best) continue;
    choice.chosen = v;
    best = choice.seconds[v];
  }
  return choice;
}

/// Seconds of a training step as it is and with these choices, by turns: what is faster alone need not be so among
/// kernels that run side by side.
struct StepSeconds {
  double usual = 0, chosen = 0;
  bool gains() const { return chosen < kClearlyFasterStep * usual; }
};

StepSeconds compare_steps(vk::Device& device, const RunConfig& config, const KernelChoices& choices, int steps) {
  constexpr int kTurns = 3;
  std::vector<double> usual, chosen;
  for (int turn = 0; turn < kTurns; ++turn) {
    for (auto* seconds : {&usual, &chosen}) {
      StepBench bench(device, seconds == &chosen ? choices : KernelChoices(), config);
      seconds->push_back(bench.measure(seconds == &chosen ? "tuned" : "as it is", steps).seconds);
    }
  }
  return {median(usual), median(chosen)};
}

std::vector<std::string> row_text(const Candidate& candidate, const Choice& choice) {
  std::string times;
  for (std::size_t v = 0; v < choice.seconds.size(); ++v)
    times += fmt::format("{}{} {:.4f}", v > 0 ? ", " : "", candidate.variants[v], 1e3 * choice.seconds[v]);
  return {candidate.op,
          candidate.shape,
          std::to_string(candidate.runs),
          times,
          candidate.variants[choice.chosen],
          fmt::format("{:.1f}", 100 * choice.gain() / choice.seconds.front())};
}

}  // namespace

TuneResult tune(vk::Device& device, const RunConfig& config, const TuneOptions& options) {
  if (!device.profile().features.timestamps)
    fail(ErrorCode::kUnsupported, "{} has no timestamps: its kernels cannot be timed", device.profile().name);
  Tuner tuner(device, config, options);
  for (std::size_t round = 0; tuner.measure(round);) ++round;
  TuneResult result{{{"op", "shape", "runs a step", "ms by variant", "chosen", "gain %"}, {}, machine_notes(device)},
                    {tuning::tuned_device(device.info()), {}, {}},
                    {}};
  std::map<std::string, Choice> choices;
  KernelChoices in_steps;
  for (const auto& [signature, candidate] : tuner.candidates()) {
    const Choice choice = choose(candidate);
    if (!choice.measured()) continue;
    if (candidate.runs > 0 && choice.chosen > 0) in_steps[signature] = candidate.variants[choice.chosen];
    choices[signature] = choice;
  }
  result.gain = "every kernel of a training step is the fastest already";
  if (!in_steps.empty()) {
    const StepSeconds step = compare_steps(device, config, in_steps, options.steps);
    result.gain = fmt::format("a training step takes {:.2f} ms, with these choices {:.2f} ms{}", 1e3 * step.usual,
                              1e3 * step.chosen, step.gains() ? "" : ": its kernels stay as they are");
    if (!step.gains())
      for (const auto& [signature, variant] : in_steps) choices[signature].chosen = 0;
  }
  for (const auto& [signature, choice] : choices) {
    const Candidate& candidate = tuner.candidates().at(signature);
    result.table.rows.push_back(row_text(candidate, choice));
    result.file.nodes[signature] = {candidate.variants[choice.chosen],
                                    choice.seconds[choice.chosen],
                                    choice.seconds.front(),
                                    {candidate.shaders.begin(), candidate.shaders.end()}};
    for (const std::string& shader : candidate.shaders) result.file.shaders[shader] = tuning::shader_digest(shader);
  }
  return result;
}

}  // namespace fabula::bench
