// `fabula train`, alone or as one of several processes. Of these rank 0 has the run's folder; the others work in a
// temporary one with a copy of what they need of it, so that their hosts need not see rank 0's files.
#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/log.hpp"
#include "base/signals.hpp"
#include "base/temporary_folder.hpp"
#include "base/terminal.hpp"
#include "bench/machine.hpp"
#include "commands.hpp"
#include "formats/config_io.hpp"
#include "json_output.hpp"
#include "models/body.hpp"
#include "text/tokenizer_files.hpp"
#include "train/shared_files.hpp"
#include "train/start_from.hpp"
#include "train/trainer.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::app {
namespace {

namespace fs = std::filesystem;

/// The same with a rate to try after this one has led to numbers that are none: the last checkpoint's, where that is
/// lower, or a third.
std::string lower_rate_command(TrainArgs args, const RunConfig& config, const train::RunFolder& folder) {
  double rate = config.train.learning_rate / 3;
  if (folder.has_state())
    if (const double before = load_config(folder.path()).train.learning_rate; before < config.train.learning_rate)
      rate = before;
  std::erase_if(args.overrides, [](const std::string& text) { return text.starts_with("train.learning_rate="); });
  args.overrides.push_back(fmt::format("train.learning_rate={:.3g}", rate));
  return train_command(args, args.resume == "force" ? "force" : "auto");
}

bool leads(const train::Reducer* ranks) {
  return ranks == nullptr || ranks->leads();
}

/// The config as rank 0 reads it. Ranks that read another one, or were given other flags, are refused.
RunConfig agreed_config(const TrainArgs& args, train::Reducer* ranks) {
  if (ranks == nullptr) return load_config(args.config, args.overrides);
  TrainArgs alike = args;  // devices may differ, and do
  alike.device = {};
  ranks->agree("the program", bench::program_text());
  ranks->agree("the command line", train_command(alike, args.resume));
  const fs::path path = fs::is_directory(args.config) ? fs::path(args.config) / kConfigFile : fs::path(args.config);
  std::error_code code;
  const bool seen = ranks->leads() || fs::exists(path, code);
  const std::string here = seen ? read_file(path, kMaxConfigBytes) : "", text = ranks->broadcast_text(here);
  const ConfigNotes notes = ranks->leads() ? ConfigNotes::kSaid : ConfigNotes::kSilent;
  RunConfig config = parse_config(text, path.string(), args.overrides, notes);
  const std::string difference =
      seen ? config_differences(config, parse_config(here, path.string(), args.overrides, ConfigNotes::kSilent)) : "";
  ranks->agree(path.string(), difference.empty() ? "as on rank 0" : difference);
  return config;
}

/// Where this process works: the run's folder, or a temporary one with a copy of the run's checkpoint.
class WorkFolder {
 public:
  WorkFolder(const TrainArgs& args, train::Reducer* ranks) {
    if (!leads(ranks)) {
      temporary_.emplace();
      train::share_checkpoint(*ranks, nullptr, path());
      ensure_directory(path());
      folder_.emplace(path(), train::RunFolder::OfAnother{});
      return;
    }
    folder_.emplace(args.out);
    if (args.resume == "last-good") folder_->go_back();
    folder_->check_usable(args.resume != "never");
    if (ranks != nullptr) train::share_checkpoint(*ranks, &*folder_, {});
  }

  train::RunFolder& run() { return *folder_; }
  fs::path path() const { return temporary_ ? temporary_->path() / "run" : folder_->path(); }
  /// For copies of what rank 0 reads.
  fs::path copies() const { return temporary_ ? temporary_->path() / "inputs" : fs::path(); }

 private:
  std::optional<TemporaryFolder> temporary_;  // before the folder in it, whose lock ends first
  std::optional<train::RunFolder> folder_;
};

train::DataOptions data_options_of(const TrainArgs& args) {
  train::DataOptions options;
  options.data = args.data;
  options.valid = args.valid;
  options.tokenizer = args.tokenizer;
  options.end_token = args.end_token;
  options.corpus_seed = args.corpus_seed;
  options.corpus_stories = args.corpus_stories;
  options.text = args.reading;
  options.valid_fraction = args.valid_fraction;
  return options;
}

std::string tokens_text(const text::TokenFile* tokens) {
  if (tokens == nullptr) return "none";
  return fmt::format("{} tokens of {}, {} documents, tokenizer {:016x}", tokens->size(), tokens->vocab_size(),
                     tokens->document_count(), tokens->tokenizer_fingerprint());
}

/// What rank 0 has opened or made of texts and tokenizer is what the others take.
train::DataSet open_shared_data(train::DataOptions options, RunConfig& config, WorkFolder& work,
                                train::Reducer* ranks) {
  if (ranks == nullptr) return train::open_data(options, config, work.path());
  std::optional<train::DataSet> data;
  const fs::path tokenizer = work.copies() / "tokenizer.json", copied_train = work.copies() / "train.tokens",
                 copied_valid = work.copies() / "valid.tokens";
  if (ranks->leads()) {
    data = train::open_data(options, config, work.path());
    const TemporaryFolder folder;
    text::write_tokenizer_json(*data->tokenizer, folder.path() / "tokenizer.json");
    train::share_file(*ranks, folder.path() / "tokenizer.json", {});
    ranks->broadcast_text(data->train->path().string());
    train::share_input(*ranks, data->train->path(), {});
    ranks->broadcast_text(data->valid ? data->valid->path().string() : "");
    if (data->valid) train::share_input(*ranks, data->valid->path(), {});
  } else {
    train::share_file(*ranks, {}, tokenizer);
    options.tokenizer = tokenizer;
    options.end_token.clear();
    options.valid_fraction = 0;
    options.data = train::share_input(*ranks, ranks->broadcast_text(""), copied_train);
    options.valid = ranks->broadcast_text("");
    if (!options.valid.empty()) options.valid = train::share_input(*ranks, options.valid, copied_valid);
    data = train::open_data(options, config, work.path());
  }
  ranks->agree("the training tokens", tokens_text(data->train.get()));
  ranks->agree("the validation tokens", tokens_text(data->valid.get()));
  const std::string own = config_json(config), first = ranks->broadcast_text(own);
  ranks->agree("the config", own == first ? "as on rank 0" : config_differences(parse_config(first, "rank 0"), config));
  return std::move(*data);
}

void print_outcome(const TrainArgs& args, const train::TrainOutcome& outcome, const vk::Device& device) {
  Json json{{"run", args.out},
            {"step", outcome.step},
            {"steps", outcome.steps},
            {"loss", outcome.last_loss ? Json(*outcome.last_loss) : Json()},
            {"interrupted", outcome.interrupted},
            {"peak_bytes", device.peak_allocated()},
            {"validation_messages", device.validation_messages()}};
  if (outcome.valid_loss) json["validation_loss"] = *outcome.valid_loss;
  print("{}\n", dump(json));
}

train::TrainOptions options_of(const TrainArgs& args, const StopSignals& signals) {
  train::TrainOptions options;
  options.resume = args.resume == "never"   ? train::Resume::kNever
                   : args.resume == "force" ? train::Resume::kForce
                                            : train::Resume::kAuto;
  options.overfit_batch = args.overfit_batch;
  options.stop_requested = [&] { return signals.requested(); };
  return options;
}

}  // namespace

int train(const TrainArgs& args, train::Reducer* ranks) {
  RunConfig config = agreed_config(args, ranks);
  models::check_supported(config.model, config.sequence_length(), true);
  if (config.model.attn_dropout_left_out)
    info("{}: attn_pdrop is left out and taken as 0: dropout of attention weights is not implemented", args.config);
  if (!args.from.empty()) train::check_other_folder(args.from, args.out);
  const auto [device, choices] = tuning::open_tuned_device(
      ranks == nullptr ? args.device : device_of_rank(args.device, args.rank_devices, *ranks));
  WorkFolder work(args, ranks);
  train::RunFolder& folder = work.run();
  train::DataOptions data_options = data_options_of(args);
  std::optional<train::StartFrom> from;
  if (!args.from.empty() && folder.has_state()) train::check_same_start(folder.read_state(), args.from);
  if (!args.from.empty() && !folder.has_state()) {
    from.emplace(args.from, args.tokenizer);
    data_options.tokenizer = from->tokenizer_for(config);
    data_options.from = &*from;
  }
  const train::DataSet data = open_shared_data(data_options, config, work, ranks);
  const StopSignals signals;  // until here Ctrl-C ends the program at once: nothing is lost
  train::TrainOptions options = options_of(args, signals);
  options.choices = choices;
  options.from = data_options.from;
  options.reducer = ranks;
  train::Trainer trainer(*device, config, data, folder, options);
  device->save_pipeline_cache();
  const std::string launcher = ranks == nullptr ? "" : fmt::format("mpirun -n {} ", ranks->size());
  train::TrainOutcome outcome;
  try {
    outcome = trainer.run();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNumeric) throw;
    fail(error.code(), "{}. For example:\n  {}{}", error.what(), launcher, lower_rate_command(args, config, folder));
  }
  if (args.json && leads(ranks)) print_outcome(args, outcome, *device);
  if (outcome.interrupted) {
    info("stopped after step {} of {}; the run is saved. Continue with:\n  {}{}", outcome.step, outcome.steps, launcher,
         train_command(args, "auto"));
    return 130;
  }
  info("done: {} steps. Curves and samples: {}", outcome.steps, (folder.path() / "report.html").string());
  return device->validation_messages() == 0 ? 0 : 1;
}

}  // namespace fabula::app
