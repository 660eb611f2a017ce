#include <cmath>
#include <cstdio>

#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/folder_update.hpp"
#include "base/log.hpp"
#include "base/perplexity.hpp"
#include "base/signals.hpp"
#include "base/terminal.hpp"
#include "commands.hpp"
#include "eval/evaluate.hpp"
#include "eval/frequency_eval.hpp"
#include "eval/score.hpp"
#include "evaluation_text.hpp"
#include "formats/config_io.hpp"
#include "formats/metrics.hpp"
#include "formats/run_state.hpp"
#include "frequency_report.hpp"
#include "infer/model_folder.hpp"
#include "json_output.hpp"
#include "maps/token_counts.hpp"
#include "train/start_from.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::app {

void warn_of_tokenizer(const text::Tokenizer& tokenizer) {
  for (const std::string& note : tokenizer.notes()) log_warn(note);
}

namespace {

/// A text file as it is scored: one text, whatever documents are in it.
std::string text_of_file(const std::string& path, const text::TextOptions& options) {
  const text::TextFile file(path, options);
  for (const std::string& note : file.notes()) log_info(note);
  return file.whole();
}

/// A model, the text it is evaluated on, and a device.
class EvaluationRun {
 public:
  explicit EvaluationRun(const EvalArgs& args)
      : args_(args),
        folder_(args.run, args.end_token, {weights::parse_format(args.weights), parse_precision(args.precision)}),
        unused_(folder_.rows_without_token()),
        data_(args.data, folder_, args.reading),
        batch_(batch_size()),
        sequence_(length()),
        source_(data_.file(), static_cast<std::uint32_t>(batch_),
                static_cast<std::uint32_t>(std::max<std::int64_t>(sequence_, 1)), 0,
                text::BatchSource::Order::kSequential) {}

  /// Exit status.
  int totals();
  int by_frequency();
  const infer::ModelFolder& folder() const { return folder_; }

 private:
  eval::Evaluation evaluate();
  const models::LanguageModel& model() const { return folder_.model(); }
  std::int64_t batch_size() const {
    return args_.batch_size > 0 ? args_.batch_size : folder_.config().train.batch_size;
  }
  std::int64_t length() const {
    const RunConfig& config = folder_.config();
    const std::int64_t T = args_.sequence > 0 ? args_.sequence : config.sequence_length();
    return std::min(T, static_cast<std::int64_t>(data_.file().size()) - 1);
  }
  std::uint64_t batches() const { return static_cast<std::uint64_t>(args_.batches); }
  bool show_progress(std::uint64_t done, std::uint64_t total) {
    if (progress_redraws()) log_progress(fmt::format("batch {} of {}", done, total));
    return !stopped();
  }
  bool stopped() const { return signals_ && signals_->requested(); }
  /// From here on Ctrl-C is asked for between batches; before it ends the program at once.
  void watch_signals() { signals_.emplace(); }

  const EvalArgs& args_;
  infer::ModelFolder folder_;
  std::vector<std::uint32_t> unused_;  ///< rows without a token
  EvaluationText data_;
  std::int64_t batch_, sequence_;
  text::BatchSource source_;
  std::optional<StopSignals> signals_;
};

eval::Evaluation EvaluationRun::evaluate() {
  const auto [device, choices] = tuning::open_tuned_device(args_.device);
  graph::Workload workload({device->profile(), choices});
  const auto run = [&, &device = *device](const auto& graphs) {
    graph::Runtime runtime(device, std::move(workload));
    folder_.load_weights(runtime);
    watch_signals();
    return eval::evaluate(runtime, graphs, model(), source_, batches(),
                          [&](std::uint64_t done, std::uint64_t total) { return show_progress(done, total); });
  };
  // What rows without a token have needs the whole distribution of every position, which nothing else here does.
  if (unused_.empty()) return run(eval::add_evaluation_graph(workload, model(), batch_, sequence_));
  return run(eval::add_label_graphs(workload, model(), batch_, sequence_, eval::kLogProbBytes, unused_));
}

int EvaluationRun::totals() {
  const eval::Evaluation result = evaluate();
  log_progress({});
  if (stopped()) return 130;
  if (args_.json) {
    print("{}\n", dump({{"loss", result.loss()},
                        {"perplexity", result.perplexity()},
                        {"positions", result.positions},
                        {"token_accuracy", number(result.token_accuracy())},
                        {"group_accuracy", number(result.group_accuracy())},
                        {"token_in_group_accuracy", number(result.token_in_group_accuracy())},
                        {"rows_without_token", unused_.size()},
                        {"mass_without_token", number(result.mean_mass_without_token())}}));
    return 0;
  }
  print("positions                {}\nloss                     {:.4f}\nperplexity               {}\n", result.positions,
        result.loss(), perplexity_text(result.perplexity(), 3));
  if (result.has_token) print("token accuracy           {:.2f} %\n", 100 * result.token_accuracy());
  if (result.has_groups)
    print("group accuracy           {:.2f} %\ntoken-in-group accuracy  {:.2f} %\n", 100 * result.group_accuracy(),
          100 * result.token_in_group_accuracy());
  if (!unused_.empty())
    print("mass without a token     {:.3g}, of {} rows of {}\n", result.mean_mass_without_token(), unused_.size(),
          model().config().vocab_size);
  return 0;
}

int EvaluationRun::by_frequency() {
  const std::string& counted = args_.counts.empty() ? args_.data : args_.counts;
  std::vector<std::uint64_t> counts = maps::token_counts(
      args_.counts.empty() ? data_.file() : EvaluationText(args_.counts, folder_, args_.reading).file());
  const auto [device, choices] = tuning::open_tuned_device(args_.device);
  watch_signals();
  const eval::FrequencyEvaluation evaluation = eval::evaluate_by_frequency(
      *device, {device->profile(), choices}, folder_, source_, batch_, sequence_, std::move(counts), batches(),
      [&](std::uint64_t done, std::uint64_t total) { return show_progress(done, total); });
  log_progress({});
  if (stopped()) return 130;
  const FrequencyReport report{evaluation.table, evaluation.has_groups, counted, args_.counts.empty(), unused_.size()};
  print("{}", args_.json ? frequency_json(report) : frequency_text(report));
  return 0;
}

}  // namespace

int eval(const EvalArgs& args) {
  EvaluationRun run(args);
  warn_of_tokenizer(run.folder().tokenizer());
  return args.by_frequency ? run.by_frequency() : run.totals();
}

namespace {

/// What scoring has shown so far, as the end of its output.
class ScoreOutput {
 public:
  ScoreOutput(const infer::ModelFolder& folder, bool json)
      : tokenizer_(folder.tokenizer()), rows_without_token_(folder.rows_without_token().size()), json_(json) {}

  void add(const eval::TokenScore& s) {
    if (count_++ == 0 && !json_) print("{:>8} {:>10} {:>10} {:>10}  token\n", "id", "log p", "log p(g)", "log p(s|g)");
    log_p_ += s.log_p;
    mass_ += s.mass_without_token;
    const std::string& bytes = tokenizer_.token_bytes(s.id);
    const auto cell = [](double value) { return std::isnan(value) ? "-" : fmt::format("{:.4f}", value); };
    if (!json_) {
      print("{:>8} {:>10.4f} {:>10} {:>10}  {}\n", s.id, s.log_p, cell(s.log_p_group), cell(s.log_p_slot), dump(bytes));
      return;
    }
    Json token{{"id", s.id},
               {"token", bytes},
               {"log_p", number(s.log_p)},
               {"log_p_group", number(s.log_p_group)},
               {"log_p_slot", number(s.log_p_slot)}};
    if (rows_without_token_ > 0) token["mass_without_token"] = number(s.mass_without_token);
    tokens_.push_back(std::move(token));
  }

  /// `error`: what has ended it before its end, else empty.
  void finish(const std::string& error = {}) const {
    if (count_ == 0) return;
    const auto count = static_cast<double>(count_);
    const double mean = -log_p_ / count;
    if (json_) {
      Json json{{"log_p", number(log_p_)},
                {"loss", number(mean)},
                {"perplexity", number(std::exp(mean))},
                {"rows_without_token", rows_without_token_},
                {"mass_without_token", mass_ / count},
                {"tokens", tokens_}};
      if (!error.empty()) json["error"] = error;
      print("{}\n", dump(json, 2));
      return;
    }
    print("{} tokens, log p {:.4f}, loss {:.4f}, perplexity {}\n", count_, log_p_, mean,
          perplexity_text(std::exp(mean), 3));
    if (rows_without_token_ > 0)
      print("{} rows of the model have no token, and {:.3g} of the probability on average\n", rows_without_token_,
            mass_ / count);
  }

 private:
  const text::Tokenizer& tokenizer_;
  std::size_t rows_without_token_;
  bool json_;
  std::int64_t count_ = 0;
  double log_p_ = 0, mass_ = 0;
  Json tokens_ = Json::array();
};

}  // namespace

int score(const ScoreArgs& args) {
  const infer::ModelFolder folder(args.run, args.end_token,
                                  {weights::parse_format(args.weights), parse_precision(args.precision)});
  warn_of_tokenizer(folder.tokenizer());
  const std::string text = args.file.empty() ? args.text : text_of_file(args.file, args.reading);
  const auto [device, choices] = tuning::open_tuned_device(args.device);
  ScoreOutput output(folder, args.json);
  try {
    eval::score(*device, {device->profile(), choices}, folder, text,
                [&](const eval::TokenScore& score) { output.add(score); });
  } catch (const Error& error) {
    output.finish(error.what());
    throw;
  }
  output.finish();
  return 0;
}

namespace {

Json model_json(const infer::ModelFolder& folder) {
  const models::LanguageModel& model = folder.model();
  const ModelConfig& c = model.config();
  Json json{{"model", models::describe(model)},
            {"family", family_name(c.family)},
            {"layers", c.layers},
            {"hidden", c.hidden},
            {"heads", c.heads},
            {"positions", c.n_positions},
            {"vocabulary", c.vocab_size},
            {"tokens", folder.tokenizer().vocab_size()},
            {"rows_without_token", folder.rows_without_token().size()},
            {"head", head_kind_name(c.head.kind)},
            {"head_in_full", model.head().describe()},
            {"tie_word_embeddings", c.tie_word_embeddings},
            {"parameters", model.parameter_count()},
            {"body_parameters", model.body_parameter_count()}};
  const Json config = Json::parse(config_json(folder.config()));
  for (const auto& [key, value] : config["head"].items())
    if (key != "kind") json[key] = value;
  return json;
}

Json run_json(const RunState& state, const RunConfig& config) {
  const auto text = [&](const char* key) {
    const auto found = state.texts.find(key);
    return found == state.texts.end() ? Json() : Json(found->second);
  };
  return {{"step", state.step},
          {"tokens_seen", state.tokens_seen},
          {"best_validation_loss", number(state.best_val_loss)},
          {"data", text("data")},
          {"from", text(kStartKey)},
          {"device", state.device},
          {"driver", state.driver},
          {"kernels", state.lowering},
          {"train", Json::parse(config_json(config))["train"]}};
}

void print_rows(const Json& json, const std::string& prefix = {}) {
  for (const auto& [key, value] : json.items())
    if (value.is_object())
      print_rows(value, prefix + key + ".");
    else
      print("{:<26} {}\n", prefix + key, value.is_string() ? value.get<std::string>() : dump(value));
}

}  // namespace

int info_run(const InfoArgs& args) {
  if (args.keys) {
    print("{}", config_reference_markdown());
    return 0;
  }
  if (args.run.empty()) fail(ErrorCode::kInvalidArgument, "name a run folder (or ask for --config-keys)");
  if (args.verify) return verify_run(args.run);
  const infer::ModelFolder folder(args.run);
  Json json = model_json(folder);
  const std::filesystem::path state_file = FolderUpdate::current(args.run, "state.json");
  if (std::filesystem::exists(state_file)) json.update(run_json(read_run_state(state_file), folder.config()));
  if (args.json)
    print("{}\n", dump(json, 2));
  else
    print_rows(json);
  return 0;
}

}  // namespace fabula::app
