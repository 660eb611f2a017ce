// Every flag of every command: help, messages and completion come from here.
#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/nearest.hpp"
#include "commands.hpp"
#include "fabula/error.hpp"
#include "serve_flags.hpp"
#include "train/fit.hpp"
#include "weights/format.hpp"

namespace fabula::app {
namespace {

/// The commands being declared; the chosen one is run after parsing.
class CommandLine {
 public:
  CommandLine() : app_("fabula: train and run small language models on any Vulkan device") {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", FABULA_VERSION);
    app_.get_formatter()->column_width(34);
    app_.footer("fabula COMMAND --help shows a command's flags. Results go to stdout, progress to stderr.");
  }

  CLI::App& app() { return app_; }

  /// `memory_advice`: which flags of the command need less device memory. What is below the program says how much was
  /// wanted and how much there is; it knows no flags.
  template <class Args>
  CLI::App* command(CLI::App& parent, const std::string& name, const std::string& help, Args& args,
                    int (*run)(const Args&), std::string_view memory_advice = {}) {
    CLI::App* sub = parent.add_subcommand(name, help);
    sub->callback([=, this, &args] {
      chosen_ = [&args, run] { return run(args); };
      memory_advice_ = memory_advice;
    });
    return sub;
  }
  int run_chosen() const {
    try {
      return chosen_();
    } catch (const Error& error) {
      const bool advised = std::string_view(error.what()).find(train::kWhatNeedsLess) != std::string_view::npos;
      if (error.code() == ErrorCode::kOutOfMemory && !memory_advice_.empty() && !advised)
        fail(error.code(), "{}. {}: {}", error.what(), train::kWhatNeedsLess, memory_advice_);
      if (error.code() == ErrorCode::kDeviceLost)
        fail(error.code(),
             "{}. A training run goes on from its last checkpoint with --resume auto; `fabula check` looks for the "
             "kernel "
             "that this driver does not bear, a smaller batch makes all of them shorter",
             error.what());
      throw;
    }
  }

 private:
  CLI::App app_;
  std::function<int()> chosen_;
  std::string_view memory_advice_;
};

constexpr std::string_view kTrainingMemory =
    "--recompute block, --set train.batch_size=N with a larger train.grad_accumulation, --precision fp16, --set "
    "train.sequence_length=N, a smaller model; `fabula plan --fit` finds the largest batch";
constexpr std::string_view kEvaluationMemory =
    "--batch-size N, --sequence N, a smaller model; --device names another device";
constexpr std::string_view kDecodingMemory =
    "a smaller model, or one of fewer positions; --device names another device";

constexpr std::uint64_t kLargestSigned = std::numeric_limits<std::int64_t>::max();

/// CLI11's own checks say a range as two doubles, and take a number too large for its type as the largest.
CLI::Validator whole_number(std::uint64_t min, std::uint64_t max, const std::string& name) {
  const auto check = [=](const std::string& text) -> std::string {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, code] = std::from_chars(text.data(), end, value);
    if (code == std::errc() && stopped == end && value >= min && value <= max) return "";
    return fmt::format("{} is not a whole number from {} to {}", text, min, max);
  };
  return CLI::Validator(check, name);
}
CLI::Validator non_negative(std::uint64_t max = kLargestSigned) {
  return whole_number(0, max, "NONNEGATIVE");
}
CLI::Validator positive() {
  return whole_number(1, kLargestSigned, "POSITIVE");
}
CLI::Validator token_count() {
  return whole_number(0, std::numeric_limits<std::uint32_t>::max(), "");
}
CLI::Validator seed() {
  return non_negative(std::numeric_limits<std::uint64_t>::max());
}

CLI::Range story_count() {
  return {1, 100'000'000};
}

void add_device_flags(CLI::App* sub, vk::DeviceOptions& options) {
  sub->add_option("--device", options.device, "Vulkan device: index or part of its name (fabula devices)");
  sub->add_option("--limits", options.limits, "lower the device's limits: native, vulkan-minimum, or a JSON file")
      ->capture_default_str();
  sub->add_option("--memory", options.memory, "device memory that may be used: 4GiB, 500MB; missing: all of it")
      ->transform(CLI::AsSizeValue(true));
  sub->add_flag("--validate", options.validate, "run under the Vulkan validation layer, synchronization included");
  sub->add_option("--cache-dir", options.cache_dir, "folder of the pipeline cache; \"none\" for no cache");
}

CLI::Option* add_compile_flags(CLI::App* sub, CompileArgs& args, const char* help) {
  CLI::Option* compile = sub->add_flag("--compile", args.compile, help);
  sub->add_flag("--statistics", args.statistics, "ask the driver for each kernel's registers, spills and memory")
      ->needs(compile);
  sub->add_flag("--no-spills", args.no_spills,
                "a kernel that is taken by default and spills registers is a failure (implies --statistics)")
      ->needs(compile);
  return compile;
}

void add_model_config_flags(CLI::App* sub, std::string& config, std::vector<std::string>& overrides) {
  sub->add_option("config", config, "config.json, or a folder that has one")->required();
  sub->add_option("--set", overrides, "override a config key: --set train.learning_rate=1e-3 (repeatable)")
      ->allow_extra_args(false);
}

void add_config_flags(CLI::App* sub, std::string& config, std::vector<std::string>& overrides) {
  add_model_config_flags(sub, config, overrides);
  // Behind --set: callbacks run in the order of declaration, and these add to what --set has filled.
  sub->add_option_function<std::string>(
         "--precision", [&overrides](const std::string& value) { overrides.push_back("train.precision=" + value); },
         "what activations are stored in, as --set train.precision: fp32, bf16 or fp16")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}));
  sub->add_option_function<std::string>(
         "--recompute", [&overrides](const std::string& value) { overrides.push_back("train.recompute=" + value); },
         "what the backward pass computes again, as --set train.recompute: none, block, or auto (block if memory "
         "needs it)")
      ->check(CLI::IsMember({"auto", "none", "block"}));
}

void add_reading_flags(CLI::App* sub, text::TextOptions& options) {
  sub->add_flag("--keep-line-ends", options.keep_line_ends, "texts keep CRLF and CR, which become LF otherwise");
  sub->add_flag("--bytes", options.bytes,
                "take texts as they are, whatever their bytes: nothing is refused or changed");
}

CLI::Option* add_format_flag(CLI::App* sub, std::string& format) {
  return sub->add_option("-o,--output", format, "a table as md, csv or json")
      ->check(CLI::IsMember({"md", "csv", "json"}))
      ->capture_default_str();
}

void add_cache_flag(CLI::App* sub, std::string& cache) {
  sub->add_option("--cache", cache, "what keys and values are kept in: fp32, fp16, bf16")
      ->check(CLI::IsMember({"fp32", "fp16", "bf16"}))
      ->capture_default_str();
}

void collect_flags(const CLI::App& app, std::vector<std::string>& names) {
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
}

/// The command that was recognised, and what may follow it.
struct Place {
  const CLI::App* app;
  std::string name;                       ///< "fabula tokenizer train"
  std::vector<std::string> flags, below;  ///< flags of it and its parents; its commands
};

Place place_of(const CLI::App& root) {
  Place place{&root, "fabula", {}, {}};
  while (true) {
    collect_flags(*place.app, place.flags);
    const auto parsed = place.app->get_subcommands();
    if (parsed.empty()) break;
    place.app = parsed.front();
    place.name += " " + place.app->get_name();
  }
  for (const CLI::App* sub : place.app->get_subcommands([](const CLI::App* app) { return !app->get_name().empty(); }))
    place.below.push_back(sub->get_name());
  return place;
}

/// Prints what is wrong with the command line, and the nearest name that exists for one that does not.
int explain(CommandLine& line, const CLI::ParseError& error, int argc, char** argv) {
  if (error.get_exit_code() == 0) return line.app().exit(error);  // --help, --version
  const Place place = place_of(line.app());
  const bool wants_command = !place.below.empty();
  const auto known = [](const std::vector<std::string>& names, const std::string& word) {
    return std::find(names.begin(), names.end(), word) != names.end();
  };
  std::string unknown, near;
  for (int i = 1; i < argc && unknown.empty(); ++i) {
    const std::string word = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
    const bool flag = word.rfind("--", 0) == 0;
    if (flag ? known(place.flags, word)
             : !wants_command || (" " + place.name + " ").find(" " + word + " ") != std::string::npos)
      continue;
    unknown = word;
    near = nearest(word, flag ? place.flags : place.below);
  }
  if (unknown.empty()) {
    if (wants_command)
      info("{}: name a command: {}", place.name, CLI::detail::join(place.below, ", "));
    else
      info("fabula: {}", error.what());
  } else {
    info("{}: there is no {} \"{}\"{}", place.name, unknown.front() == '-' ? "flag" : "command", unknown,
         near.empty() ? "" : fmt::format("; did you mean {}?", near));
  }
  info("{} --help lists {}", place.name, wants_command ? "the commands" : "its flags");
  return 2;
}

void add_end_token_flag(CLI::App* sub, std::string& end_token) {
  sub->add_option("--end-token", end_token,
                  "text of the token that ends a document; missing: as the tokenizer's files say");
}

void add_weights_flag(CLI::App* sub, std::string& weights) {
  sub->add_option("--weights", weights,
                  "what the model's matrices are stored in: fp32, fp16, bf16, or int8 with a scale for each 32")
      ->check(CLI::IsMember(std::vector<std::string>(weights::kFormatNames.begin(), weights::kFormatNames.end())))
      ->capture_default_str();
}

void add_precision_flag(CLI::App* sub, std::string& precision) {
  sub->add_option("--precision", precision, "what activations are stored in: fp32, bf16 or fp16")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
      ->capture_default_str();
}

struct AllArgs {
  DevicesArgs devices;
  CorpusArgs corpus;
  TokenizerTrainArgs tokenizer_train;
  TokenizerImportArgs tokenizer_import;
  ImportArgs import;
  DataPrepareArgs data_prepare;
  DataGroupsArgs data_groups;
  PlanArgs plan;
  TrainArgs train;
  CompareArgs compare;
  EvalArgs eval;
  ScoreArgs score;
  GenerateArgs generate;
  ServeArgs serve;
  CheckArgs check;
  InfoArgs info;
  BenchArgs bench_ops, bench_train;
  TuneArgs tune;
  BenchHeadsArgs bench_heads;
  BenchDecodeArgs bench_decode;
  BenchServeArgs bench_serve;
};

void declare_text_commands(CommandLine& line, AllArgs& args) {
  CLI::App* sub = line.command(line.app(), "corpus", "write stories of the built-in grammar", args.corpus, corpus);
  sub->add_option("--seed", args.corpus.seed, "seed of the stories")->check(seed())->capture_default_str();
  sub->add_option("--stories", args.corpus.stories, "how many")->check(story_count())->capture_default_str();
  sub->add_option("--out", args.corpus.out, "file to write; stdout when missing");

  CLI::App* tokenizer =
      line.app().add_subcommand("tokenizer", "learn a byte-level BPE vocabulary, or import one")->require_subcommand(1);
  sub = line.command(*tokenizer, "train", "learn a vocabulary from text", args.tokenizer_train, tokenizer_train);
  sub->add_option("texts", args.tokenizer_train.texts, "text files")->required();
  sub->add_option("--vocab-size", args.tokenizer_train.vocab_size, "tokens, the 256 bytes and <|endoftext|> included")
      ->check(token_count())
      ->capture_default_str();
  sub->add_option("--out", args.tokenizer_train.out, "tokenizer.json to write")->required();
  add_reading_flags(sub, args.tokenizer_train.reading);
  sub = line.command(*tokenizer, "import", "convert a vocabulary to tokenizer.json", args.tokenizer_import,
                     tokenizer_import);
  sub->add_option("from", args.tokenizer_import.from,
                  "tokenizer.json, a folder that has one or vocab.json, NAME.tiktoken, or a .bin of llama2.c");
  sub->add_option("--vocab", args.tokenizer_import.vocab, "GPT-2's vocab.json");
  sub->add_option("--merges", args.tokenizer_import.merges, "GPT-2's merges.txt");
  add_end_token_flag(sub, args.tokenizer_import.end_token);
  sub->add_option("--out", args.tokenizer_import.out, "tokenizer.json to write")->required();

  CLI::App* data = line.app().add_subcommand("data", "make token files and group maps")->require_subcommand(1);
  sub = line.command(*data, "prepare", "text to a memory-mapped token file", args.data_prepare, data_prepare);
  sub->add_option("texts", args.data_prepare.texts,
                  "text files; <|endoftext|> or the tokenizer's own end token ends a document")
      ->required();
  sub->add_option("--tokenizer", args.data_prepare.tokenizer, "tokenizer.json (fabula tokenizer)")->required();
  add_end_token_flag(sub, args.data_prepare.end_token);
  sub->add_option("--out", args.data_prepare.out, "token file to write")->required();
  add_reading_flags(sub, args.data_prepare.reading);
  sub->add_flag("--json", args.data_prepare.json, "counts as JSON");

  sub = line.command(*data, "groups", "which tokens share a group of a grouped head, as a file", args.data_groups,
                     data_groups);
  sub->add_option("tokens", args.data_groups.tokens, "token file (fabula data prepare)")->required();
  sub->add_option("-o,--out", args.data_groups.out, "token_groups.json to write")->required();
  sub->add_option("--map", args.data_groups.map,
                  "clustered (tokens with like neighbours), frequency (of about equal probability), id_ranges, random")
      ->check(CLI::IsMember({"clustered", "frequency", "id_ranges", "random"}))
      ->capture_default_str();
  sub->add_option("--group-sizes", args.data_groups.group_sizes,
                  "equal, or mass: of about equal probability, small where tokens are frequent")
      ->check(CLI::IsMember({"equal", "mass"}))
      ->capture_default_str();
  sub->add_option("--group-size", args.data_groups.group_size,
                  "S, the most tokens of a group; missing: ceil(sqrt(V - K))")
      ->check(positive());
  sub->add_option("--groups", args.data_groups.groups, "G; missing: ceil((V - K) / S)")->check(positive());
  sub->add_option("--shortlist", args.data_groups.shortlist, "K most frequent tokens that are in no group")
      ->check(non_negative())
      ->capture_default_str();
  sub->add_option("--embeddings", args.data_groups.embeddings,
                  "model folder: cluster its token embeddings instead of the tokens' neighbours");
  sub->add_option("--tokenizer", args.data_groups.tokenizer, "tokenizer.json: show a few groups as text");
  add_end_token_flag(sub, args.data_groups.end_token);
  sub->add_option("--seed", args.data_groups.seed, "seed of clustered and random")
      ->check(seed())
      ->capture_default_str();
  sub->add_flag("--json", args.data_groups.json, "the summary as JSON");
}

void declare_training_commands(CommandLine& line, AllArgs& args) {
  CLI::App* sub = line.command(line.app(), "plan", "show memory and work of a run before running it", args.plan, plan,
                               kTrainingMemory);
  add_config_flags(sub, args.plan.config, args.plan.overrides);
  CLI::Option* json = sub->add_flag("--json", args.plan.json, "as JSON");
  CLI::Option* compare =
      sub->add_flag("--compare-heads", args.plan.compare_heads, "a table of what every kind of head would cost");
  add_format_flag(sub, args.plan.format)->needs(compare)->excludes(json);
  CLI::Option* fit =
      sub->add_flag("--fit", args.plan.fit, "which batch sizes fit the device's memory, or that of --memory")
          ->excludes(compare);
  add_compile_flags(sub, args.plan.compile, "compile the run's kernels instead; a device without memory will do")
      ->excludes(compare)
      ->excludes(fit);
  add_device_flags(sub, args.plan.device);

  sub = line.command(line.app(), "train", "train a model", args.train, train, kTrainingMemory);
  add_config_flags(sub, args.train.config, args.train.overrides);
  CLI::Option* data =
      sub->add_option("--data", args.train.data, "token file or text; missing: stories of the built-in grammar");
  CLI::Option* valid =
      sub->add_option("--valid", args.train.valid, "validation tokens or text; missing: held out from a text");
  sub->add_option(
         "--valid-fraction", args.train.valid_fraction,
         "how much of the text to hold out, from its end: whole documents, or a part of a single one; missing: "
         "a fiftieth of several documents")
      ->check(CLI::Range(0.0001, 0.9))
      ->needs(data)
      ->excludes(valid);
  add_reading_flags(sub, args.train.reading);
  sub->add_option("--tokenizer", args.train.tokenizer, "tokenizer.json; missing: learned from the text");
  sub->add_option("--from", args.train.from,
                  "run or Hugging Face folder whose weights a new run starts from; missing: fresh weights");
  add_end_token_flag(sub, args.train.end_token);
  sub->add_option("--out", args.train.out, "run folder")->required();
  sub->add_option("--resume", args.train.resume,
                  "never, auto (continue if there is a run), force (even with other kernels), last-good (from the "
                  "checkpoint that was kept because loss or norm rose)")
      ->check(CLI::IsMember({"never", "auto", "force", "last-good"}))
      ->capture_default_str();
  sub->add_flag("--overfit-batch", args.train.overfit_batch,
                "train on the first batch alone: the loss must fall towards 0");
  sub->add_option("--corpus-seed", args.train.corpus_seed, "seed of the built-in stories")
      ->check(seed())
      ->capture_default_str();
  sub->add_option("--corpus-stories", args.train.corpus_stories, "how many built-in stories")
      ->check(story_count())
      ->capture_default_str();
  sub->add_flag("--json", args.train.json, "the outcome as JSON on stdout");
  add_device_flags(sub, args.train.device);
}

void declare_compare_command(CommandLine& line, CompareArgs& args) {
  CLI::App* sub = line.command(
      line.app(), "compare", "train and evaluate the rows of a study, and compare them; the same command continues it",
      args, compare, kTrainingMemory);
  sub->add_option("study", args.study, "study file: a config, its data, and rows that differ (docs/compare.md)")
      ->required();
  sub->add_option("--out", args.out, "folder of the study's results")->required();
  sub->add_option("--data", args.data,
                  "folder with the study's token files and tokenizer; missing: where the study file says");
  sub->add_option("--row", args.rows, "only these rows, and those that they need: fused,full (repeatable)")
      ->delimiter(',')
      ->allow_extra_args(false);
  sub->add_option("--time-limit", args.time_limit,
                  "stop after so long, the run under way saved: 600, 90s, 10m, 2h; missing: when all is done")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}}))
      ->check(CLI::Range(1.0, 1e9));
  sub->add_flag("--keep-weights", args.keep_weights, "keep the weights of finished runs, in OUT/weights");
  CLI::Option* list =
      sub->add_flag("--list", args.list, "only show what is finished, and the command that trains each run alone");
  sub->add_flag("--table", args.table, "only write the tables of what is finished")->excludes(list);
  add_device_flags(sub, args.device);
}

void declare_model_commands(CommandLine& line, AllArgs& args) {
  CLI::App* sub = line.command(line.app(), "eval", "loss, perplexity and accuracies over a text", args.eval, eval,
                               kEvaluationMemory);
  sub->add_option("run", args.eval.run, "run folder or Hugging Face folder")->required();
  sub->add_option("--data", args.eval.data, "token file or text")->required();
  add_end_token_flag(sub, args.eval.end_token);
  add_weights_flag(sub, args.eval.weights);
  add_precision_flag(sub, args.eval.precision);
  add_reading_flags(sub, args.eval.reading);
  sub->add_option("--batch-size", args.eval.batch_size, "sequences at once; 0: as in training")
      ->check(CLI::Range(0, 65536))
      ->capture_default_str();
  sub->add_option("--sequence", args.eval.sequence, "tokens a sequence; 0: as in training")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  sub->add_option("--batches", args.eval.batches, "only the first batches; 0: all")
      ->check(non_negative())
      ->capture_default_str();
  CLI::Option* by_frequency = sub->add_flag("--by-frequency", args.eval.by_frequency,
                                            "also by the label's frequency, and how reliable the probabilities are");
  sub->add_option("--counts", args.eval.counts,
                  "token file or text whose tokens are counted for --by-frequency; missing: the data itself")
      ->needs(by_frequency);
  sub->add_flag("--json", args.eval.json, "as JSON");
  add_device_flags(sub, args.eval.device);

  sub = line.command(line.app(), "score", "log-probabilities of every token of a text", args.score, score,
                     kDecodingMemory);
  sub->add_option("run", args.score.run, "run folder or Hugging Face folder")->required();
  CLI::Option_group* source = sub->add_option_group("text");
  source->add_option("--text", args.score.text, "the text");
  source->add_option("--file", args.score.file, "a file with the text");
  source->require_option(1);
  add_end_token_flag(sub, args.score.end_token);
  add_weights_flag(sub, args.score.weights);
  add_precision_flag(sub, args.score.precision);
  add_reading_flags(sub, args.score.reading);
  sub->add_flag("--json", args.score.json, "as JSON");
  add_device_flags(sub, args.score.device);

  sub = line.command(line.app(), "generate", "continue a prompt", args.generate, generate, kDecodingMemory);
  sub->add_option("run", args.generate.run, "run folder or Hugging Face folder")->required();
  sub->add_option("--prompt", args.generate.prompt, "text to continue; \"-\": standard input; missing: a new document");
  sub->add_flag("--lines", args.generate.lines, "every line of standard input is a prompt")->excludes("--prompt");
  add_end_token_flag(sub, args.generate.end_token);
  add_weights_flag(sub, args.generate.weights);
  sub->add_option("--temperature", args.generate.sampler.temperature, "0: always the likeliest token")
      ->capture_default_str();
  sub->add_option("--top-k", args.generate.sampler.top_k, "only the k likeliest tokens; 0: all")
      ->check(token_count())
      ->capture_default_str();
  sub->add_option("--top-p", args.generate.sampler.top_p, "only the likeliest tokens that reach probability p")
      ->capture_default_str();
  sub->add_option("--min-p", args.generate.sampler.min_p, "only tokens this many times as likely as the likeliest")
      ->capture_default_str();
  sub->add_option("--repetition-penalty", args.generate.sampler.repetition_penalty,
                  "multiplies log p of tokens of the prompt and the text")
      ->capture_default_str();
  sub->add_option("--presence-penalty", args.generate.sampler.presence_penalty,
                  "taken from log p of tokens of the text")
      ->capture_default_str();
  sub->add_option("--frequency-penalty", args.generate.sampler.frequency_penalty, "the same for each time")
      ->capture_default_str();
  sub->add_option("--logit-bias", args.generate.biases, "ID=BIAS, added to log p of a token; may be repeated");
  sub->add_option("--stop", args.generate.stops, "a text that ends the continuation; may be repeated");
  sub->add_option("--seed", args.generate.sampler.seed, "seed of the draws")->check(seed())->capture_default_str();
  sub->add_option("--max-tokens", args.generate.max_tokens, "most tokens to add")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  sub->add_option("--samples", args.generate.samples, "how many continuations, with seeds that count up")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  sub->add_option("--at-context-end", args.generate.at_context_end,
                  "what happens to a text that fills the context: stop, or slide: go on with its later half")
      ->check(CLI::IsMember({"stop", "slide"}))
      ->capture_default_str();
  sub->add_option("--context", args.generate.context, "positions that are kept; 0: as many as the model has")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  add_cache_flag(sub, args.generate.cache);
  sub->add_option("--slots", args.generate.slots, "texts computed side by side; 0: all, up to 32")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
  sub->add_option("--top", args.generate.top, "with --json: so many of the likeliest tokens at each place")
      ->check(CLI::Range(0, 20))
      ->capture_default_str();
  sub->add_flag("--json", args.generate.json, "as JSON, with token ids and log-probabilities");
  add_device_flags(sub, args.generate.device);

  sub = line.command(line.app(), "import", "a llama2.c checkpoint as a Hugging Face Llama folder", args.import,
                     import_model);
  sub->add_option("checkpoint", args.import.checkpoint, "checkpoint of version 0, such as stories15M.bin")->required();
  sub->add_option("--tokenizer", args.import.tokenizer, "its tokenizer.bin, or a tokenizer.json")->required();
  sub->add_option("--out", args.import.out, "folder to write, which is not there yet or empty")->required();
  sub->add_flag("--json", args.import.json, "the model's sizes as JSON");

  sub = line.command(line.app(), "info", "what a run folder holds", args.info, info_run);
  sub->add_option("run", args.info.run, "run folder");
  sub->add_flag("--json", args.info.json, "as JSON");
  sub->add_flag("--verify", args.info.verify,
                "only compare the checkpoint's files with their checksums; status 1 on a miss");
  sub->add_flag("--config-keys", args.info.keys, "print the reference of all config keys instead");
}

void add_bench_heads_flags(CLI::App* sub, BenchHeadsArgs& args) {
  add_config_flags(sub, args.config, args.overrides);
  const auto list = [sub](const char* name, auto& values, const char* help) {
    return sub->add_option(name, values, help)->delimiter(',')->allow_extra_args(false);
  };
  CLI::Option* vocab = list("--vocab", args.options.vocabularies, "vocabularies: 10000,50257; missing: the config's")
                           ->check(CLI::Range(std::int64_t{2}, kMaxVocabulary));
  list("--group-sizes", args.options.group_sizes, "also the grouped head with groups of these sizes: 64,128,225")
      ->check(positive());
  list("--heads", args.options.heads, "only heads whose names contain one of these: full,grouped");
  sub->add_option("--tokens", args.tokens, "token file: its ids, vocabulary and group maps (repeatable)")
      ->allow_extra_args(false)
      ->excludes(vocab);
  sub->add_option("--steps", args.options.steps, "measured steps, after two to warm up; 0: 5, 3 on a software device")
      ->check(CLI::Range(0, 10000));
}

void add_bench_decode_flags(CLI::App* sub, BenchDecodeArgs& args) {
  add_model_config_flags(sub, args.config, args.overrides);
  const auto list = [sub](const char* name, auto& values, const char* help) {
    return sub->add_option(name, values, help)->delimiter(',')->allow_extra_args(false);
  };
  list("--vocab", args.options.vocabularies, "vocabularies: 50257,200000; missing: the config's")
      ->check(CLI::Range(std::int64_t{2}, kMaxVocabulary));
  list("--heads", args.options.heads,
       "only heads whose names contain one of these, of all that bench heads has; missing: grouped, full tied, and one "
       "of the config's own");
  list("--slots", args.options.slots, "texts at once; what a step costs is told for the first number")
      ->check(whole_number(1, 64, "1 to 64"))
      ->capture_default_str();
  list("--contexts", args.options.contexts,
       "tokens that texts have when they are timed; missing: 64, four times as many each, and the model's")
      ->check(positive());
  sub->add_option("--prompt", args.options.prompt, "tokens of a prompt, as far as the context takes them")
      ->check(whole_number(2, 1 << 20, "2 or more"))
      ->capture_default_str();
  sub->add_option("--repeats", args.options.repeats, "timed, after a warm-up; 0: 5, 3 on a software device")
      ->check(CLI::Range(0, 10000));
  list("--weights", args.weights, "what matrices are stored in, as generate's: fp32,fp16,int8; missing: fp32")
      ->check(CLI::IsMember(std::vector<std::string>(weights::kFormatNames.begin(), weights::kFormatNames.end())));
  add_cache_flag(sub, args.cache);
  CLI::Option* profile = sub->add_flag("--profile", args.profile,
                                       "where the time of one step goes: the config's head, the first of --slots, "
                                       "--contexts and --weights");
  sub->add_option("--by", args.by, "rows of the profile: kernel or op")
      ->check(CLI::IsMember({"kernel", "op"}))
      ->capture_default_str()
      ->needs(profile);
}

void declare_serve_command(CommandLine& line, ServeArgs& args) {
  CLI::App* sub = line.command(line.app(), "serve", "answer clients of OpenAI's API over HTTP, and show a page", args,
                               serve, kDecodingMemory);
  add_serve_flags(sub, args);
  add_end_token_flag(sub, args.end_token);
  add_weights_flag(sub, args.weights);
  add_cache_flag(sub, args.cache);
  add_device_flags(sub, args.device);
}

void declare_device_commands(CommandLine& line, AllArgs& args) {
  CLI::App* sub =
      line.command(line.app(), "devices", "list Vulkan devices, their limits and features", args.devices, devices);
  sub->add_flag("--json", args.devices.json, "as JSON");
  sub->add_option("--limits", args.devices.device.limits, "lower the limits: native, vulkan-minimum, or a JSON file")
      ->capture_default_str();

  sub = line.command(line.app(), "check", "every shader against the CPU reference on this device", args.check, check);
  sub->add_option("--filter", args.check.filter, "only ops whose name contains this");
  sub->add_option("--repeats", args.check.repeats, "runs that must agree bit by bit")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  sub->add_flag("--quick", args.check.quick, "leave the large cases out; with --compile, all but default kernels");
  add_compile_flags(sub, args.check.compile,
                    "compile every kernel of every variant instead, and run none; a device without memory will do");
  sub->add_flag("--json", args.check.json, "as JSON");
  add_device_flags(sub, args.check.device);

  sub = line.command(line.app(), "tune",
                     "measure the kernels for a config's shapes; train and others then use the fastest", args.tune,
                     tune, kTrainingMemory);
  add_config_flags(sub, args.tune.config, args.tune.overrides);
  sub->add_option("--steps", args.tune.steps, "measured steps with each variant, after two to warm up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_format_flag(sub, args.tune.format);
  add_device_flags(sub, args.tune.device);

  CLI::App* bench = line.app().add_subcommand("bench", "measure speed on this device")->require_subcommand(1);
  const auto add_format = [](CLI::App* command, auto& bench_args) {
    add_format_flag(command, bench_args.format);
    add_device_flags(command, bench_args.device);
  };
  sub = line.command(*bench, "ops", "single ops at training's shapes", args.bench_ops, bench_ops);
  sub->add_option("--filter", args.bench_ops.filter, "only benchmarks whose name contains this");
  sub->add_option("--seconds", args.bench_ops.seconds, "time to spend on each")
      ->check(CLI::Range(0.01, 60.0))
      ->capture_default_str();
  sub->add_flag("--all-variants", args.bench_ops.all_variants, "every kernel variant, not only the first choice");
  add_format(sub, args.bench_ops);
  sub = line.command(*bench, "train", "whole training steps: grouped, full and fused head side by side",
                     args.bench_train, bench_train, kTrainingMemory);
  add_config_flags(sub, args.bench_train.config, args.bench_train.overrides);
  sub->add_option("--steps", args.bench_train.steps, "measured steps, after two to warm up")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  CLI::Option* profile = sub->add_flag("--profile", args.bench_train.profile,
                                       "where a step's time goes, for the config's head and random ids");
  sub->add_option("--filter", args.bench_train.filter, "only heads whose name contains this")->excludes(profile);
  sub->add_option("--tokens", args.bench_train.tokens,
                  "batches of this token file (fabula data prepare); missing: random ids")
      ->excludes(profile);
  sub->add_option("--by", args.bench_train.by, "rows of the profile: kernel or op")
      ->check(CLI::IsMember({"kernel", "op"}))
      ->capture_default_str()
      ->needs(profile);
  add_format(sub, args.bench_train);
  sub = line.command(*bench, "heads", "memory and speed of every kind of head, one table", args.bench_heads,
                     bench_heads, kTrainingMemory);
  add_bench_heads_flags(sub, args.bench_heads);
  add_format(sub, args.bench_heads);
  sub = line.command(*bench, "decode", "reading prompts and writing tokens: grouped beside full head, contexts, slots",
                     args.bench_decode, bench_decode, kDecodingMemory);
  add_bench_decode_flags(sub, args.bench_decode);
  CLI::Option* json = sub->add_flag("--json", args.bench_decode.json, "as -o json");
  add_format_flag(sub, args.bench_decode.format)->excludes(json);
  add_device_flags(sub, args.bench_decode.device);
  sub = line.command(*bench, "serve", "a server and clients that stream from it: tokens/s, fairness, first byte",
                     args.bench_serve, bench_serve, kDecodingMemory);
  add_bench_serve_flags(sub, args.bench_serve);
  add_format(sub, args.bench_serve);
}

}  // namespace

int run_command_line(int argc, char** argv) {
  AllArgs args;
  CommandLine line;
  declare_training_commands(line, args);
  declare_compare_command(line, args.compare);
  declare_model_commands(line, args);
  declare_serve_command(line, args.serve);
  declare_text_commands(line, args);
  declare_device_commands(line, args);
  try {
    line.app().parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return explain(line, error, argc, argv);
  }
  return line.run_chosen();
}

}  // namespace fabula::app
