#include <cstdio>

#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/log.hpp"
#include "base/signals.hpp"
#include "base/terminal.hpp"
#include "bench/profile.hpp"
#include "bench/train_bench.hpp"
#include "bench/tune.hpp"
#include "commands.hpp"
#include "formats/config_io.hpp"
#include "json_output.hpp"
#include "models/body.hpp"
#include "train/start_from.hpp"
#include "train/trainer.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::app {

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%") ==
                                          std::string::npos;
  if (plain) return word;
  std::string result = "'";
  for (char c : word) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

namespace {

/// Adds a flag unless its value is the default.
void add_flag(std::string& command, const char* name, const std::string& value, const std::string& otherwise = {}) {
  if (value != otherwise) command += fmt::format(" {} {}", name, quoted(value));
}

}  // namespace

std::string device_flags(const vk::DeviceOptions& device) {
  std::string command;
  add_flag(command, "--device", device.device);
  add_flag(command, "--limits", device.limits, vk::DeviceOptions().limits);
  add_flag(command, "--memory", std::to_string(device.memory), "0");
  add_flag(command, "--cache-dir", device.cache_dir);
  if (device.validate) command += " --validate";
  if (!device.self_test) command += " --no-self-test";
  return command;
}

std::string train_command(const TrainArgs& args, const std::string& resume) {
  const TrainArgs defaults;
  std::string command = "fabula train " + quoted(args.config);
  for (const std::string& text : args.overrides) add_flag(command, "--set", text);
  add_flag(command, "--data", args.data);
  add_flag(command, "--valid", args.valid);
  if (args.valid_fraction > 0) add_flag(command, "--valid-fraction", fmt::format("{}", args.valid_fraction));
  if (args.reading.keep_line_ends) command += " --keep-line-ends";
  if (args.reading.bytes) command += " --bytes";
  add_flag(command, "--tokenizer", args.tokenizer);
  add_flag(command, "--end-token", args.end_token);
  add_flag(command, "--corpus-seed", std::to_string(args.corpus_seed), std::to_string(defaults.corpus_seed));
  add_flag(command, "--corpus-stories", std::to_string(args.corpus_stories), std::to_string(defaults.corpus_stories));
  if (args.overfit_batch) command += " --overfit-batch";
  command += device_flags(args.device);
  add_flag(command, "--from", args.from);
  add_flag(command, "--out", args.out);
  add_flag(command, "--resume", resume);
  return command;
}

namespace {

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

}  // namespace

int train(const TrainArgs& args) {
  RunConfig config = load_config(args.config, args.overrides);
  models::check_supported(config.model, config.sequence_length(), true);
  if (config.model.attn_dropout_left_out)
    info("{}: attn_pdrop is left out and taken as 0: dropout of attention weights is not implemented", args.config);
  if (!args.from.empty()) train::check_other_folder(args.from, args.out);
  const auto [device, choices] = tuning::open_tuned_device(args.device);
  train::RunFolder folder(args.out);
  if (args.resume == "last-good") folder.go_back();
  folder.check_usable(args.resume != "never");
  train::DataOptions data_options;
  data_options.data = args.data;
  data_options.valid = args.valid;
  data_options.tokenizer = args.tokenizer;
  data_options.end_token = args.end_token;
  data_options.corpus_seed = args.corpus_seed;
  data_options.corpus_stories = args.corpus_stories;
  data_options.text = args.reading;
  data_options.valid_fraction = args.valid_fraction;
  std::optional<train::StartFrom> from;
  if (!args.from.empty() && folder.has_state()) train::check_same_start(folder.read_state(), args.from);
  if (!args.from.empty() && !folder.has_state()) {
    from.emplace(args.from, args.tokenizer);
    data_options.tokenizer = from->tokenizer_for(config);
    data_options.from = &*from;
  }
  const train::DataSet data = train::open_data(data_options, config, folder.path());
  const StopSignals signals;  // until here Ctrl-C ends the program at once: nothing is lost
  train::TrainOptions options;
  options.resume = args.resume == "never"   ? train::Resume::kNever
                   : args.resume == "force" ? train::Resume::kForce
                                            : train::Resume::kAuto;
  options.choices = choices;
  options.from = data_options.from;
  options.overfit_batch = args.overfit_batch;
  options.stop_requested = [&] { return signals.requested(); };
  train::Trainer trainer(*device, config, data, folder, options);
  device->save_pipeline_cache();
  train::TrainOutcome outcome;
  try {
    outcome = trainer.run();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNumeric) throw;
    fail(error.code(), "{}. For example:\n  {}", error.what(), lower_rate_command(args, config, folder));
  }
  if (args.json) {
    Json json{{"run", args.out},
              {"step", outcome.step},
              {"steps", outcome.steps},
              {"loss", outcome.last_loss ? Json(*outcome.last_loss) : Json()},
              {"interrupted", outcome.interrupted},
              {"peak_bytes", device->peak_allocated()},
              {"validation_messages", device->validation_messages()}};
    if (outcome.valid_loss) json["validation_loss"] = *outcome.valid_loss;
    print("{}\n", dump(json));
  }
  if (outcome.interrupted) {
    info("stopped after step {} of {}; the run is saved. Continue with:\n  {}", outcome.step, outcome.steps,
         train_command(args, "auto"));
    return 130;
  }
  info("done: {} steps. Curves and samples: {}", outcome.steps, (folder.path() / "report.html").string());
  return device->validation_messages() == 0 ? 0 : 1;
}

int verify_run(const std::string& run) {
  bool same = true;
  for (const train::FileCheck& check : train::check_files(run)) {
    print("{:<24} {}\n", check.name, check.same ? "ok" : "differs");
    same = same && check.same;
  }
  return same ? 0 : 1;
}

int bench_train(const BenchArgs& args) {
  const RunConfig config = load_with_vocabulary(args.config, args.overrides);
  const bench::TrainBenchOptions options{.steps = args.steps, .filter = args.filter, .tokens = args.tokens};
  const Table table = args.profile
                          ? bench::profile_train(args.device, config, {.steps = args.steps, .by_op = args.by == "op"})
                          : bench::bench_train(args.device, config, options);
  print("{}", table_text(table, args.format));
  return 0;
}

int tune(const TuneArgs& args) {
  const RunConfig config = load_with_vocabulary(args.config, args.overrides);
  vk::DeviceOptions options = args.device;
  options.statistics = true;  // a kernel that spills is no candidate
  const std::unique_ptr<vk::Device> device = vk::Device::open(options);
  const std::filesystem::path path = tuning::tune_path(*device);
  if (path.empty())
    fail(ErrorCode::kInvalidArgument,
         "there is no folder to keep the choices in: --cache-dir is none, HOME is not set, or the folder cannot be "
         "read");
  ensure_directory(path.parent_path());  // before minutes of measuring
  bench::TuneResult result = bench::tune(*device, config, {.steps = args.steps});
  tuning::add_to_tune_file(path, result.file);
  device->save_pipeline_cache();
  result.table.notes.push_back("kept in " + path.string());
  print("{}", table_text(result.table, args.format));
  if (args.format == "md") print("\n{}\n", result.gain);
  return 0;
}

int bench_heads(const BenchHeadsArgs& args) {
  const RunConfig config = load_with_vocabulary(args.config, args.overrides);
  bench::HeadBenchOptions options = args.options;
  options.tokens.assign(args.tokens.begin(), args.tokens.end());
  print("{}", table_text(bench::bench_heads(args.device, config, options), args.format));
  return 0;
}

}  // namespace fabula::app
