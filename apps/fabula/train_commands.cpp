#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/signals.hpp"
#include "bench/head_costs.hpp"
#include "bench/profile.hpp"
#include "bench/train_bench.hpp"
#include "bench/tune.hpp"
#include "commands.hpp"
#include "formats/config_io.hpp"
#include "infer/tuned_device.hpp"
#include "train/head_data.hpp"
#include "train/trainer.hpp"

namespace fabula::app {
namespace {

using Json = nlohmann::ordered_json;

double mib(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

std::string size_text(std::uint64_t bytes) {
  return bytes < 10ull << 20 ? fmt::format("{:.0f} KiB", static_cast<double>(bytes) / 1024)
                             : fmt::format("{:.0f} MiB", mib(bytes));
}

/// A word as a POSIX shell takes it.
std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%") ==
                                          std::string::npos;
  if (plain) return word;
  std::string result = "'";
  for (char c : word) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string resume_command(const TrainArgs& args) {
  const TrainArgs defaults;
  std::string command = "fabula train " + quoted(args.config);
  const auto flag = [&](const char* name, const std::string& value, const std::string& otherwise = {}) {
    if (value != otherwise) command += fmt::format(" {} {}", name, quoted(value));
  };
  for (const std::string& text : args.overrides) flag("--set", text);
  flag("--data", args.data);
  flag("--valid", args.valid);
  flag("--tokenizer", args.tokenizer);
  flag("--corpus-seed", std::to_string(args.corpus_seed), std::to_string(defaults.corpus_seed));
  flag("--corpus-stories", std::to_string(args.corpus_stories), std::to_string(defaults.corpus_stories));
  if (args.overfit_batch) command += " --overfit-batch";
  flag("--device", args.device.device);
  flag("--limits", args.device.limits, defaults.device.limits);
  flag("--out", args.out);
  return command + " --resume auto";
}

void print_suggestions(const RunConfig& config, std::uint64_t wanted, std::uint64_t have) {
  fmt::print("does not fit: {} wanted, the device has {}. What shrinks it:\n", size_text(wanted), size_text(have));
  if (config.train.batch_size > 1)
    fmt::print("  --set train.batch_size={} --set train.grad_accumulation={}   (the same step, in more pieces)\n",
               (config.train.batch_size + 1) / 2, config.train.grad_accumulation * 2);
  fmt::print("  --set train.sequence_length={}   (shorter sequences)\n", train::sequence_length(config) / 2);
  if (config.model.head.kind == HeadKind::kFull)
    fmt::print("  --set head.kind=fused   (the same numbers; logits over the whole vocabulary never all in memory)\n");
  fmt::print("  --compare-heads   (with this command: what every kind of head would take)\n");
}

/// A config for commands that read no text: a vocabulary that it leaves open is that of a tokenizer learned by default;
/// a map file gives the head's sizes.
RunConfig load_with_vocabulary(const std::string& path, const std::vector<std::string>& overrides) {
  RunConfig config = load_config(path, overrides);
  if (config.model.vocab_size == 0) {
    if (config.model.head.kind == HeadKind::kGrouped && config.model.head.map == GroupMap::kFile)
      fail(ErrorCode::kInvalidArgument, "{}: head.map is file and vocab_size is open; set vocab_size to the map's",
           path);
    config.model.vocab_size = train::kDefaultVocabulary;
    info("vocab_size is open in the config; taking {}", config.model.vocab_size);
    validate_config(config, path);
  }
  train::adopt_map_file(config);
  return config;
}

}  // namespace

int plan(const PlanArgs& args) {
  const RunConfig config = load_with_vocabulary(args.config, args.overrides);
  const vk::DeviceInfo device = infer::open_tuned_device(args.device)->info();
  if (args.compare_heads) {
    fmt::print("{}", bench::print(bench::compare_heads(device, config), args.json ? "json" : args.format));
    return 0;
  }
  const vk::DeviceProfile& profile = device.profile;
  const std::uint64_t device_memory = device.usable_memory();
  const models::LanguageModel model(config.model);
  const train::TrainingPlan planned = train::plan_training(profile, model, config.train);
  const graph::MemoryReport report = planned.workload.report();
  const graph::PlannedGraph& gradients = planned.workload.graphs()[planned.overwrite];
  const graph::PlannedGraph& apply = planned.workload.graphs()[planned.apply];
  const double flops = bench::step_flops(planned, config.train);
  std::uint64_t head_bytes = 0;
  for (const graph::ParameterSpec& spec : model.head().parameters())
    head_bytes += static_cast<std::uint64_t>(spec.shape.bytes());
  const std::int64_t tokens = config.train.batch_size * config.train.grad_accumulation * train::sequence_length(config);
  if (args.json) {
    fmt::print("{}\n", Json{{"device", profile.name},
                            {"parameters", model.parameter_count()},
                            {"body_parameters", model.body_parameter_count()},
                            {"tokens_per_step", tokens},
                            {"flops_per_step", flops},
                            {"launches_per_step", gradients.program.steps.size() + apply.program.steps.size()},
                            {"bytes",
                             {{"parameters", report.parameters},
                              {"of_which_head", head_bytes},
                              {"gradients", report.gradients},
                              {"optimizer", report.optimizer},
                              {"activations", report.activations},
                              {"activations_live", report.activations_live},
                              {"inputs", report.inputs},
                              {"total", report.total()}}},
                            {"peak", {{"graph", report.peak_graph}, {"node", report.peak_node}}},
                            {"device_memory", device_memory},
                            {"fits", report.total() <= device_memory}}
                           .dump(2));
    return report.total() <= device_memory ? 0 : 1;
  }
  fmt::print("{}\n{:.2f} M parameters, {:.2f} M of them in the body; {} tokens a step\n\n", profile.name,
             1e-6 * double(model.parameter_count()), 1e-6 * double(model.body_parameter_count()), tokens);
  fmt::print("{:<28} {:>10.1f} MiB   (the head {:.1f})\n", "parameters", mib(report.parameters), mib(head_bytes));
  fmt::print("{:<28} {:>10.1f} MiB\n", "gradients", mib(report.gradients));
  fmt::print("{:<28} {:>10.1f} MiB\n", "optimizer (AdamW)", mib(report.optimizer));
  fmt::print("{:<28} {:>10.1f} MiB   (fullest at {}, {})\n", "activations", mib(report.activations), report.peak_node,
             report.peak_graph);
  fmt::print("{:<28} {:>10.1f} MiB\n", "inputs and results", mib(report.inputs));
  fmt::print("{:<28} {:>10.1f} MiB   of {:.0f} MiB\n\n", "all", mib(report.total()), mib(device_memory));
  fmt::print("a step: {:.2f} GFLOP, {} kernel launches in {} + {} nodes\n", 1e-9 * flops,
             gradients.program.steps.size() + apply.program.steps.size(), gradients.graph.nodes().size(),
             apply.graph.nodes().size());
  if (report.total() <= device_memory) return 0;
  print_suggestions(config, report.total(), device_memory);
  return 1;
}

int train(const TrainArgs& args) {
  RunConfig config = load_config(args.config, args.overrides);
  const std::unique_ptr<vk::Device> device = infer::open_tuned_device(args.device);
  train::RunFolder folder(args.out);
  folder.check_usable(args.resume != "never");
  const train::DataOptions data_options{args.data, args.valid, args.tokenizer, args.corpus_seed, args.corpus_stories};
  const train::DataSet data = train::open_data(data_options, config, folder.path());
  const StopSignals signals;  // until here Ctrl-C ends the program at once: nothing is lost
  train::TrainOptions options;
  options.resume = args.resume == "auto"    ? train::Resume::kAuto
                   : args.resume == "force" ? train::Resume::kForce
                                            : train::Resume::kNever;
  options.overfit_batch = args.overfit_batch;
  options.stop_requested = [&] { return signals.requested(); };
  train::Trainer trainer(*device, config, data, folder, options);
  device->save_pipeline_cache();
  const train::TrainOutcome outcome = trainer.run();
  if (args.json) {
    Json json{{"run", args.out},
              {"step", outcome.step},
              {"steps", outcome.steps},
              {"loss", outcome.last_loss ? Json(*outcome.last_loss) : Json()},
              {"interrupted", outcome.interrupted},
              {"peak_bytes", device->peak_allocated()},
              {"validation_messages", device->validation_messages()}};
    if (outcome.valid_loss) json["validation_loss"] = *outcome.valid_loss;
    fmt::print("{}\n", json.dump());
  }
  if (outcome.interrupted) {
    info("stopped after step {} of {}; the run is saved. Continue with:\n  {}", outcome.step, outcome.steps,
         resume_command(args));
    return 130;
  }
  info("done: {} steps. Curves and samples: {}", outcome.steps, (folder.path() / "report.html").string());
  return device->validation_messages() == 0 ? 0 : 1;
}

int bench_train(const BenchArgs& args) {
  const RunConfig config = load_with_vocabulary(args.config, args.overrides);
  const bench::TrainBenchOptions options{.steps = args.steps, .filter = args.filter};
  const bench::Table table =
      args.profile ? bench::profile_train(args.device, config, {.steps = args.steps, .by_op = args.by == "op"})
                   : bench::bench_train(args.device, config, options);
  fmt::print("{}", bench::print(table, args.format));
  return 0;
}

int tune(const TuneArgs& args) {
  const RunConfig config = load_with_vocabulary(args.config, args.overrides);
  const std::unique_ptr<vk::Device> device = vk::Device::open(args.device);
  const std::filesystem::path path = infer::tune_path(*device);
  if (path.empty())
    fail(ErrorCode::kInvalidArgument,
         "there is no folder to keep the choices in: --cache-dir is none, or HOME is not set");
  bench::TuneResult result = bench::tune(*device, config, {.steps = args.steps});
  infer::add_to_tune_file(path, result.file);
  device->save_pipeline_cache();
  result.table.notes.push_back("kept in " + path.string());
  fmt::print("{}", bench::print(result.table, args.format));
  if (args.format == "md") fmt::print("\n{}\n", result.gain);
  return 0;
}

int bench_heads(const BenchHeadsArgs& args) {
  const RunConfig config = load_with_vocabulary(args.config, args.overrides);
  bench::HeadBenchOptions options = args.options;
  options.tokens.assign(args.tokens.begin(), args.tokens.end());
  fmt::print("{}", bench::print(bench::bench_heads(args.device, config, options), args.format));
  return 0;
}

}  // namespace fabula::app
