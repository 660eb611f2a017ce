#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/log.hpp"
#include "base/terminal.hpp"
#include "bench/profile.hpp"
#include "bench/rank_bench.hpp"
#include "bench/train_bench.hpp"
#include "bench/tune.hpp"
#include "cluster/thread_world.hpp"
#include "commands.hpp"
#include "train/run_folder.hpp"
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

int verify_run(const std::string& run) {
  bool same = true;
  for (const train::FileCheck& check : train::check_files(run)) {
    print("{:<24} {}\n", check.name, check.same ? "ok" : "differs");
    same = same && check.same;
  }
  return same ? 0 : 1;
}

namespace {

/// The processes that mpirun has started; a single one is a world too.
int bench_on_ranks(const BenchArgs& args, const RunConfig& config, train::Reducer& ranks) {
  const bench::RankBenchOptions options{.steps = args.steps, .tokens = args.tokens, .timeline = args.timeline};
  const Table table = bench::bench_ranks(device_of_rank(args.device, args.rank_devices, ranks), config, options, ranks);
  if (ranks.leads()) print("{}", table_text(table, args.format));
  return 0;
}

}  // namespace

int bench_train(const BenchArgs& args, train::Reducer* ranks) {
  if (ranks != nullptr && !args.ranks)
    fail(ErrorCode::kInvalidArgument,
         "{} processes were started to measure one device each by itself; with --ranks "
         "they train together",
         ranks->size());
  const RunConfig config = load_with_vocabulary(args.config, args.overrides);
  if (args.ranks) return bench_on_ranks(args, config, ranks != nullptr ? *ranks : *cluster::thread_world(1).front());
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
