// What a run takes, before it runs.
#include <algorithm>
#include <cstdio>

#include "base/byte_size.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/terminal.hpp"
#include "bench/head_costs.hpp"
#include "commands.hpp"
#include "compile_report.hpp"
#include "formats/config_io.hpp"
#include "graph/barriers.hpp"
#include "json_output.hpp"
#include "predict/device_table.hpp"
#include "predict/rank_time.hpp"
#include "train/fit.hpp"
#include "train/head_data.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::app {
namespace {

/// What a run's step and a token of its model would take on a device that is known by its profile.
struct PlanPrediction {
  predict::Prediction step;
  predict::DecodePrediction decoding;
  std::int64_t context = 0;
};

/// The plan of a config's run on a device, and what is said about it.
class PlanReport {
 public:
  /// `speed` may be null; else there are predictions.
  PlanReport(const vk::DeviceInfo& device, const graph::Target& target, const RunConfig& config,
             const tuning::DeviceSpeed* speed = nullptr)
      : target_(target),
        config_(config),
        model_(config.model, {}, config.train.precision),
        memory_(device.usable_memory()),
        plan_(train::plan_training(target_, model_, config.train, {.memory = memory_})),
        report_(plan_.workload.report()) {
    for (const graph::ParameterSpec& spec : model_.head().parameters().specs())
      head_bytes_ += static_cast<std::uint64_t>(spec.shape.bytes());
    if (speed != nullptr) predict(*speed);
  }

  bool fits() const { return report_.total() <= memory_; }
  void print_json() const;
  void print_text() const;

 private:
  const graph::PlannedGraph& gradients() const { return plan_.workload.graphs()[plan_.graphs.overwrite.index]; }
  const graph::PlannedGraph& apply() const { return plan_.workload.graphs()[plan_.graphs.apply]; }
  std::size_t launches() const { return gradients().program.steps.size() + apply().program.steps.size(); }
  std::size_t barriers() const { return barrier_count(gradients().program) + barrier_count(apply().program); }
  std::int64_t tokens() const { return config_.tokens_per_step(); }
  void predict(const tuning::DeviceSpeed& speed);
  Json prediction_json() const;
  void print_prediction() const;

  const graph::Target& target_;
  const RunConfig& config_;
  models::LanguageModel model_;
  std::uint64_t memory_;
  train::TrainingPlan plan_;
  graph::MemoryReport report_;
  std::uint64_t head_bytes_ = 0;
  std::optional<PlanPrediction> prediction_;
};

void PlanReport::predict(const tuning::DeviceSpeed& speed) {
  const predict::KernelTimes times(speed);
  const std::int64_t context = predict::usual_context(config_.model);
  const models::LanguageModel decoded(config_.model);
  prediction_ = {predict::predict_step(plan_, config_.train, times),
                 predict::predict_token(target_, decoded, {.slots = 1}, context, times), context};
}

Json PlanReport::prediction_json() const {
  const auto times = [](const predict::Prediction& one) {
    return Json{{"seconds", one.seconds},
                {"of_which_launches", one.launch_seconds},
                {"of_which_kernels_never_measured", one.other_seconds},
                {"flops", one.flops},
                {"bytes", one.bytes},
                {"launches", one.launches}};
  };
  Json token = times(prediction_->decoding.token);
  token["context"] = prediction_->context;
  token["device_bytes"] = prediction_->decoding.bytes;
  token["fits"] = prediction_->decoding.bytes <= memory_;
  return {{"step", times(prediction_->step)}, {"token", token}};
}

void PlanReport::print_prediction() const {
  const auto [step, decoding, context] = *prediction_;
  print("predicted: a step {:.3g} ms, {:.0f} tokens/s; launches and submissions {:.1f} % of it\n", 1e3 * step.seconds,
        static_cast<double>(tokens()) / step.seconds, 100 * step.launch_seconds / step.seconds);
  print("predicted: a token behind {} of one text {:.3g} ms, {:.1f} tokens/s; launches {:.1f} % of it; {:.1f} MiB{}\n",
        context, 1e3 * decoding.token.seconds, 1 / decoding.token.seconds,
        100 * decoding.token.launch_seconds / decoding.token.seconds, mib(decoding.bytes),
        decoding.bytes <= memory_ ? "" : ": does not fit");
}

void PlanReport::print_json() const {
  Json report{{"device", target_.profile.name},
              {"parameters", model_.parameter_count()},
              {"body_parameters", model_.body_parameter_count()},
              {"tokens_per_step", tokens()},
              {"recompute", recompute_name(plan_.recompute)},
              {"flops_per_step", bench::step_flops(plan_, config_.train)},
              {"launches_per_step", launches()},
              {"barriers_per_step", barriers()},
              {"bytes",
               {{"parameters", report_.parameters},
                {"of_which_head", head_bytes_},
                {"constants", report_.constants},
                {"gradients", report_.gradients},
                {"optimizer", report_.optimizer},
                {"caches", report_.caches},
                {"states", report_.states},
                {"activations", report_.activations},
                {"activations_live", report_.activations_live},
                {"inputs", report_.inputs},
                {"total", report_.total()}}},
              {"peak", {{"graph", report_.peak_graph}, {"node", report_.peak_node}}},
              {"device_memory", memory_},
              {"fits", fits()}};
  if (prediction_) report["predicted"] = prediction_json();
  print("{}\n", dump(report, 2));
}

void PlanReport::print_text() const {
  print("{}\n{:.2f} M parameters, {:.2f} M of them in the body; {} tokens a step\n\n", target_.profile.name,
        1e-6 * double(model_.parameter_count()), 1e-6 * double(model_.body_parameter_count()), tokens());
  print("{:<28} {:>10.1f} MiB   (the head {:.1f})\n", "parameters", mib(report_.parameters), mib(head_bytes_));
  print("{:<28} {:>10.1f} MiB\n", "constants", mib(report_.constants));
  print("{:<28} {:>10.1f} MiB\n", "gradients", mib(report_.gradients));
  print("{:<28} {:>10.1f} MiB\n", "optimizer (AdamW)", mib(report_.optimizer));
  if (report_.caches > 0) print("{:<28} {:>10.1f} MiB   (samples)\n", "caches", mib(report_.caches));
  if (report_.states >= 1 << 16) print("{:<28} {:>10.1f} MiB\n", "other states", mib(report_.states));
  print("{:<28} {:>10.1f} MiB   (recompute {}; fullest at {}, {})\n", "activations", mib(report_.activations),
        recompute_name(plan_.recompute), report_.peak_node, report_.peak_graph);
  print("{:<28} {:>10.1f} MiB\n", "inputs and results", mib(report_.inputs));
  print("{:<28} {:>10.1f} MiB   of {:.0f} MiB\n\n", "all", mib(report_.total()), mib(memory_));
  print("a step: {:.2f} GFLOP, {} kernel launches and {} barriers in {} + {} nodes\n",
        1e-9 * bench::step_flops(plan_, config_.train), launches(), barriers(), gradients().graph.nodes().size(),
        apply().graph.nodes().size());
  if (prediction_) print_prediction();
  if (fits()) return;
  print("does not fit: {} wanted, the device has {}. What shrinks it:\n", size_text(report_.total(), 0),
        size_text(memory_, 0));
  for (const std::string& line : train::memory_advice(target_, model_, config_.train, memory_)) print("  {}\n", line);
  print("  --compare-heads   (with this command: what every kind of head would take)\n");
  print("  --fit   (with this command: which batch sizes fit)\n");
}

/// Batches that make up the config's step, or come closest to it from above.
std::int64_t accumulation_for(std::int64_t sequences, std::int64_t batch) {
  return (sequences + batch - 1) / batch;
}

void print_fit_json(const vk::DeviceInfo& device, const train::BatchFit& fit, const train::FittingStep& step,
                    std::int64_t sequences) {
  const auto bytes = [](std::uint64_t value) { return value == UINT64_MAX ? Json() : Json(value); };
  Json rows = Json::array();
  for (const train::FitRow& row : fit.rows)
    rows.push_back({{"batch_size", row.batch},
                    {"bytes_none", bytes(row.none)},
                    {"bytes_block", bytes(row.block)},
                    {"grad_accumulation", accumulation_for(sequences, row.batch)}});
  print("{}\n", dump(Json{{"device", device.profile.name},
                          {"device_memory", device.usable_memory()},
                          {"largest_batch_size", {{"none", fit.none}, {"block", fit.block}}},
                          {"why_not_more", fit.why_not_more},
                          {"sequences_per_step", sequences},
                          {"step",
                           {{"batch_size", step.batch},
                            {"grad_accumulation", step.accumulation},
                            {"recompute", recompute_name(step.recompute)}}},
                          {"rows", rows}},
                     2));
}

void print_fit_text(const vk::DeviceInfo& device, const train::BatchFit& fit, const train::FittingStep& step,
                    std::int64_t sequences) {
  const std::uint64_t memory = device.usable_memory();
  print("{}: {} may be used\nlargest batch size: {} without recomputation, {} with --recompute block\n\n",
        device.profile.name, size_text(memory, 0), fit.none, fit.block);
  print("{:>10} {:>12} {:>12}   {:<10} {:>17} {:>16}\n", "batch size", "none MiB", "block MiB", "fits with",
        "grad_accumulation", "sequences a step");
  const auto cell = [](std::uint64_t value) {
    return value == UINT64_MAX ? std::string("-") : fmt::format("{:.1f}", mib(value));
  };
  for (const train::FitRow& row : fit.rows) {
    const std::int64_t accumulation = accumulation_for(sequences, row.batch);
    print("{:>10} {:>12} {:>12}   {:<10} {:>17} {:>16}\n", row.batch, cell(row.none), cell(row.block),
          row.none <= memory    ? "none"
          : row.block <= memory ? "block"
                                : "neither",
          accumulation, accumulation * row.batch);
  }
  if (!fit.why_not_more.empty()) print("larger ones: {}\n", fit.why_not_more);
  print("\n{} sequences a step: --set train.batch_size={} --set train.grad_accumulation={} --recompute {}\n", sequences,
        step.batch, step.accumulation, recompute_name(step.recompute));
}

int print_fit(const vk::DeviceInfo& device, const graph::Target& target, const RunConfig& config, bool json) {
  const models::LanguageModel model(config.model, {}, config.train.precision);
  const train::BatchFit fit = train::fit_batch(target, model, config.train, device.usable_memory());
  train::require_fit(fit, target, model, config.train, device.usable_memory());
  const train::FittingStep step = train::fitting_step(fit, config.train);
  const std::int64_t sequences = config.train.batch_size * config.train.grad_accumulation;
  json ? print_fit_json(device, fit, step, sequences) : print_fit_text(device, fit, step, sequences);
  return 0;
}

/// The kernels of a run of the config, compiled and not run.
int compile_plan(const PlanArgs& args, const RunConfig& config) {
  const std::unique_ptr<vk::Device> device = open_to_compile(args.device, args.compile);
  const graph::Target target{device->profile(), tuning::device_choices(*device)};
  const models::LanguageModel model(config.model, {}, config.train.precision);
  // A device without memory holds any run.
  const std::uint64_t memory = device->info().usable ? device->info().usable_memory() : UINT64_MAX;
  const train::TrainingPlan plan = train::plan_training(target, model, config.train, {.memory = memory});
  std::map<vk::KernelKey, std::string> kernels;
  for (const graph::PlannedGraph& planned : plan.workload.graphs())
    for (const graph::Step& step : planned.program.steps)
      if (!step.shader.empty()) kernels.try_emplace(graph::kernel_of(step), planned.name + " " + step.label);
  std::vector<KernelToCompile> list;
  for (const auto& [key, where] : kernels) list.push_back({key, where, true});
  return compile_report(*device, list, args.compile, args.json);
}

}  // namespace

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

namespace {

std::string table_format(const PlanArgs& args) {
  return args.json ? "json" : args.format.empty() ? "md" : args.format;
}

int print_ranks(const PlanArgs& args, const graph::Target& target, const RunConfig& config,
                const tuning::DeviceSpeed& speed, std::uint64_t memory) {
  const int most = *std::max_element(args.ranks.begin(), args.ranks.end());
  if (most > args.ranks_per_host && args.network == 0)
    fail(ErrorCode::kInvalidArgument,
         "{} ranks are more than the {} of a host: say what lies between hosts with --network, in Gbit/s", most,
         args.ranks_per_host);
  const models::LanguageModel model(config.model, {}, config.train.precision);
  const train::TrainingPlan plan = train::plan_training(target, model, config.train, {.memory = memory});
  const predict::KernelTimes times(speed);
  const double step = predict::predict_step(plan, config.train, times).seconds;
  const predict::GradientBytes bytes = predict::gradient_bytes(model);
  predict::GradientWay way{
      .copy_out = speed.download.value, .copy_back = speed.upload.value, .network = 1e9 / 8 * args.network};
  predict::measure_host(way);
  std::vector<predict::Ranks> rows;
  for (const int count : args.ranks)
    rows.push_back({.count = count, .per_host = args.ranks_per_host, .wire_share = args.wire_16bit ? 0.5 : 1.0});
  Table table = predict::rank_table(step, 0, static_cast<double>(config.tokens_per_step()), bytes, rows, way);
  table.notes = {
      fmt::format("predicted, not measured: {}, {}; {} x {} x {} tokens a rank", speed.name,
                  precision_name(config.train.precision), config.train.grad_accumulation, config.train.batch_size,
                  config.sequence_length()),
      fmt::format("{:.1f} MiB of gradients, {:.1f} MiB of them final last; {:.1f} GB/s from the device, {:.1f} to it; "
                  "this host copies {:.1f} GB/s and adds {:.1f}; {}",
                  (bytes.early + bytes.late) / (1 << 20), bytes.late / (1 << 20), 1e-9 * way.copy_out,
                  1e-9 * way.copy_back, 1e-9 * way.host, 1e-9 * way.sum,
                  args.network > 0 ? fmt::format("{:g} Gbit/s between hosts", args.network) : "one host")};
  print("{}", table_text(table, table_format(args)));
  return 0;
}

int plan_on(const PlanArgs& args, const RunConfig& config, const vk::DeviceInfo& device, const KernelChoices& choices,
            const tuning::DeviceSpeed* speed) {
  const graph::Target target{device.profile, choices};
  if (args.compare_heads) {
    print("{}", table_text(bench::compare_heads(device, choices, config), table_format(args)));
    return 0;
  }
  if (args.fit) return print_fit(device, target, config, args.json);
  if (!args.ranks.empty()) return print_ranks(args, target, config, *speed, device.usable_memory());
  const PlanReport report(device, target, config, speed);
  args.json ? report.print_json() : report.print_text();
  return report.fits() ? 0 : 1;
}

/// On a device that need not be there.
int plan_by_profile(const PlanArgs& args, const RunConfig& config) {
  if (args.device_profile == kAllProfiles) {
    print("{}", table_text(predict::predict_devices(tuning::named_devices(), config), table_format(args)));
    return 0;
  }
  const tuning::DeviceSpeed speed = tuning::find_device_speed(args.device_profile);
  vk::DeviceInfo device = tuning::device_info(speed);
  vk::apply_limits(device.profile, args.device.limits);
  std::uint64_t& cap = device.profile.limits.heap_cap;
  if (args.device.memory > 0) cap = cap == 0 ? args.device.memory : std::min(cap, args.device.memory);
  if (!args.json && !args.compare_heads && args.ranks.empty()) print("{}: {}\n\n", speed.name, speed.note);
  return plan_on(args, config, device, speed.choices, &speed);
}

}  // namespace

int plan(const PlanArgs& args) {
  const bool table = args.compare_heads || !args.ranks.empty() || args.device_profile == kAllProfiles;
  if (!args.format.empty() && !table)
    fail(ErrorCode::kInvalidArgument, "-o is for tables: of --compare-heads, --ranks, or --device-profile {}",
         kAllProfiles);
  if (!args.ranks.empty() && args.device_profile == kAllProfiles)
    fail(ErrorCode::kInvalidArgument, "--ranks is for one device: name it with --device-profile");
  const RunConfig config = load_with_vocabulary(args.config, args.overrides);
  if (args.compile.compile) return compile_plan(args, config);
  if (!args.device_profile.empty()) return plan_by_profile(args, config);
  const auto [opened, choices] = tuning::open_tuned_device(args.device);
  return plan_on(args, config, opened->info(), choices, nullptr);
}

}  // namespace fabula::app
