#include <cmath>
#include <cstdio>

#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/folder_update.hpp"
#include "base/log.hpp"
#include "base/signals.hpp"
#include "base/temporary_folder.hpp"
#include "base/terminal.hpp"
#include "commands.hpp"
#include "formats/config_io.hpp"
#include "formats/metrics.hpp"
#include "formats/run_state.hpp"
#include "frequency_report.hpp"
#include "infer/evaluate.hpp"
#include "infer/frequency_eval.hpp"
#include "infer/generator.hpp"
#include "infer/model_folder.hpp"
#include "infer/score.hpp"
#include "infer/tuned_device.hpp"
#include "json_output.hpp"
#include "maps/token_counts.hpp"

namespace fabula::app {
namespace {

/// A token file as it is; a text as a token file made in a temporary folder.
class EvaluationText {
 public:
  EvaluationText(const std::string& path, const infer::ModelFolder& folder) {
    const text::Tokenizer& tokenizer = folder.tokenizer();
    std::filesystem::path tokens = path;
    if (!text::is_token_file(path)) {
      tokens = temporary_.path() / "tokens";
      text::prepare_token_file(std::vector<std::filesystem::path>{path}, tokenizer, tokens);
    }
    file_.emplace(tokens);
    file_->check_tokenizer(tokenizer);
    folder.check_ids(*file_);
  }
  const text::TokenFile& file() const { return *file_; }

 private:
  TemporaryFolder temporary_;
  std::optional<text::TokenFile> file_;
};

/// A model, the text it is evaluated on, and a device.
class EvaluationRun {
 public:
  explicit EvaluationRun(const EvalArgs& args)
      : args_(args),
        folder_(args.run, args.end_token),
        data_(args.data, folder_),
        batch_(batch_size()),
        sequence_(length()),
        source_(data_.file(), static_cast<std::uint32_t>(batch_),
                static_cast<std::uint32_t>(std::max<std::int64_t>(sequence_, 1)), 0,
                text::BatchSource::Order::kSequential) {}

  /// Exit status.
  int totals();
  int by_frequency();

 private:
  const models::LanguageModel& model() const { return folder_.model(); }
  std::int64_t batch_size() const {
    return args_.batch_size > 0 ? args_.batch_size : folder_.config().train.batch_size;
  }
  std::int64_t length() const {
    const RunConfig& config = folder_.config();
    const std::int64_t T = args_.sequence > 0                 ? args_.sequence
                           : config.train.sequence_length > 0 ? config.train.sequence_length
                                                              : config.model.n_positions;
    return std::min(T, static_cast<std::int64_t>(data_.file().size()) - 1);
  }
  std::uint64_t batches() const { return static_cast<std::uint64_t>(args_.batches); }
  bool show_progress(std::uint64_t done, std::uint64_t total) {
    if (progress_.redraws()) progress_.show(fmt::format("batch {} of {}", done, total));
    return !stopped();
  }
  bool stopped() const { return signals_ && signals_->requested(); }
  /// From here on Ctrl-C is asked for between batches; before it ends the program at once.
  void watch_signals() { signals_.emplace(); }

  const EvalArgs& args_;
  infer::ModelFolder folder_;
  EvaluationText data_;
  std::int64_t batch_, sequence_;
  text::BatchSource source_;
  std::optional<StopSignals> signals_;
  ProgressLine progress_;
};

int EvaluationRun::totals() {
  const std::unique_ptr<vk::Device> device = infer::open_tuned_device(args_.device);
  graph::Workload workload(device->profile());
  const infer::EvaluationGraph graph = infer::add_evaluation_graph(workload, model(), batch_, sequence_);
  graph::Runtime runtime(*device, std::move(workload));
  folder_.load_weights(runtime);
  watch_signals();
  const infer::Evaluation result =
      infer::evaluate(runtime, graph, model(), source_, batches(),
                      [&](std::uint64_t done, std::uint64_t total) { return show_progress(done, total); });
  progress_.end();
  if (stopped()) return 130;
  if (args_.json) {
    fmt::print("{}\n", dump({{"loss", result.loss()},
                             {"perplexity", result.perplexity()},
                             {"positions", result.positions},
                             {"token_accuracy", number(result.token_accuracy())},
                             {"group_accuracy", number(result.group_accuracy())},
                             {"token_in_group_accuracy", number(result.token_in_group_accuracy())}}));
    return 0;
  }
  fmt::print("positions                {}\nloss                     {:.4f}\nperplexity               {:.3f}\n",
             result.positions, result.loss(), result.perplexity());
  if (result.has_token) fmt::print("token accuracy           {:.2f} %\n", 100 * result.token_accuracy());
  if (result.has_groups)
    fmt::print("group accuracy           {:.2f} %\ntoken-in-group accuracy  {:.2f} %\n", 100 * result.group_accuracy(),
               100 * result.token_in_group_accuracy());
  return 0;
}

int EvaluationRun::by_frequency() {
  const std::string& counted = args_.counts.empty() ? args_.data : args_.counts;
  std::vector<std::uint64_t> counts =
      maps::token_counts(args_.counts.empty() ? data_.file() : EvaluationText(args_.counts, folder_).file());
  counts.resize(static_cast<std::size_t>(model().config().vocab_size));  // a model may have more than its tokenizer
  infer::FrequencyTable table(counts, model().config().vocab_size);
  const std::unique_ptr<vk::Device> device = infer::open_tuned_device(args_.device);
  graph::Workload workload(device->profile());
  const infer::LabelGraphs graphs = infer::add_label_graphs(workload, model(), batch_, sequence_);
  graph::Runtime runtime(*device, std::move(workload));
  folder_.load_weights(runtime);
  watch_signals();
  infer::evaluate_labels(
      runtime, graphs, model(), source_, batches(), [&](const infer::LabelResult& result) { table.add(result); },
      [&](std::uint64_t done, std::uint64_t total) { return show_progress(done, total); });
  progress_.end();
  if (stopped()) return 130;
  const FrequencyReport report{table, graphs.has_groups(), counted, args_.counts.empty()};
  fmt::print("{}", args_.json ? frequency_json(report) : frequency_text(report));
  return 0;
}

}  // namespace

int eval(const EvalArgs& args) {
  EvaluationRun run(args);
  return args.by_frequency ? run.by_frequency() : run.totals();
}

int score(const ScoreArgs& args) {
  const infer::ModelFolder folder(args.run, args.end_token);
  const std::string text = args.file.empty() ? args.text : read_file(args.file);
  const std::unique_ptr<vk::Device> device = infer::open_tuned_device(args.device);
  const std::vector<infer::TokenScore> scores = infer::score(*device, folder, text);
  double sum = 0;
  Json list = Json::array();
  if (!args.json) fmt::print("{:>8} {:>10} {:>10} {:>10}  token\n", "id", "log p", "log p(g)", "log p(s|g)");
  for (const infer::TokenScore& s : scores) {
    sum += s.log_p;
    const std::string& bytes = folder.tokenizer().token_bytes(s.id);
    if (args.json)
      list.push_back({{"id", s.id},
                      {"token", bytes},
                      {"log_p", number(s.log_p)},
                      {"log_p_group", number(s.log_p_group)},
                      {"log_p_slot", number(s.log_p_slot)}});
    else
      fmt::print("{:>8} {:>10.4f} {:>10} {:>10}  {}\n", s.id, s.log_p,
                 std::isnan(s.log_p_group) ? "-" : fmt::format("{:.4f}", s.log_p_group),
                 std::isnan(s.log_p_slot) ? "-" : fmt::format("{:.4f}", s.log_p_slot), dump(bytes));
  }
  const double mean = -sum / static_cast<double>(scores.size());
  if (args.json)
    fmt::print(
        "{}\n",
        dump({{"log_p", number(sum)}, {"loss", number(mean)}, {"perplexity", number(std::exp(mean))}, {"tokens", list}},
             2));
  else
    fmt::print("{} tokens, log p {:.4f}, loss {:.4f}, perplexity {:.3f}\n", scores.size(), sum, mean, std::exp(mean));
  return 0;
}

int generate(const GenerateArgs& args) {
  infer::validate(args.sampler);
  const infer::ModelFolder folder(args.run, args.end_token);
  const std::unique_ptr<vk::Device> device = infer::open_tuned_device(args.device);
  graph::Workload workload(device->profile());
  const infer::GenerationGraphs graphs =
      infer::add_generation_graphs(workload, folder.model(), folder.config().model.n_positions);
  graph::Runtime runtime(*device, std::move(workload));
  folder.load_weights(runtime);
  infer::Generator generator(runtime, graphs, folder.model(), folder.tokenizer(), folder.start_id());
  device->save_pipeline_cache();
  generator.encode_prompt(args.prompt);  // refuses too long a prompt before anything is printed
  const StopSignals signals;
  Json list = Json::array();
  for (std::int64_t sample = 0; sample < args.samples && !signals.requested(); ++sample) {
    infer::GenerateOptions options{
        .sampler = args.sampler, .max_tokens = args.max_tokens, .stop_ids = folder.stop_ids()};
    options.sampler.seed += static_cast<std::uint64_t>(sample);
    const auto stream = [&](std::string_view piece) {
      if (args.json) return !signals.requested();
      fmt::print("{}", piece);
      std::fflush(stdout);
      return !signals.requested();
    };
    if (!args.json) stream(args.prompt);
    const std::string text = generator.generate(args.prompt, options, stream);
    if (args.json)
      list.push_back({{"prompt", args.prompt}, {"text", text}, {"seed", options.sampler.seed}});
    else
      fmt::print("{}", sample + 1 < args.samples ? "\n\n---\n\n" : "\n");
  }
  if (args.json) fmt::print("{}\n", dump(list, 2));
  return signals.requested() ? 130 : 0;
}

int info_run(const InfoArgs& args) {
  if (args.keys) {
    fmt::print("{}", config_reference_markdown());
    return 0;
  }
  if (args.run.empty()) fail(ErrorCode::kInvalidArgument, "name a run folder (or ask for --config-keys)");
  if (args.verify) return verify_run(args.run);
  const infer::ModelFolder folder(args.run);
  const models::LanguageModel& model = folder.model();
  const ModelConfig& c = model.config();
  Json json{{"family", family_name(c.family)},
            {"layers", c.layers},
            {"hidden", c.hidden},
            {"heads", c.heads},
            {"positions", c.n_positions},
            {"vocabulary", c.vocab_size},
            {"head", head_kind_name(c.head.kind)},
            {"parameters", model.parameter_count()},
            {"body_parameters", model.body_parameter_count()}};
  if (c.head.kind == HeadKind::kGrouped) json["groups"] = c.groups(), json["group_size"] = c.slots();
  const std::filesystem::path state_file = FolderUpdate::current(args.run, "state.json");
  if (std::filesystem::exists(state_file)) {
    const RunState state = read_run_state(state_file);
    json["step"] = state.step;
    json["tokens_seen"] = state.tokens_seen;
    json["best_validation_loss"] = number(state.best_val_loss);
    json["device"] = state.device;
    json["driver"] = state.driver;
    json["kernels"] = state.lowering;
  }
  if (args.json)
    fmt::print("{}\n", dump(json, 2));
  else
    for (const auto& [key, value] : json.items())
      fmt::print("{:<22} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
  return 0;
}

}  // namespace fabula::app
