#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/decode_bench.hpp"
#include "bench/head_bench.hpp"
#include "infer/sampler.hpp"
#include "ranks.hpp"
#include "text/text_file.hpp"
#include "text/tokenizer.hpp"
#include "vk/device.hpp"

// One function a command; each returns the exit status. Flags are declared in cli.cpp alone.
namespace fabula::app {

struct DevicesArgs {
  bool json = false;
  vk::DeviceOptions device;
};
int devices(const DevicesArgs& args);

struct CorpusArgs {
  std::uint64_t seed = 1, stories = 1000;
  std::string out;  ///< empty: stdout
};
int corpus(const CorpusArgs& args);

struct TokenizerTrainArgs {
  std::vector<std::string> texts;
  std::uint32_t vocab_size = 2048;
  std::string out;
  text::TextOptions reading;  ///< here and below: of the text files
};
int tokenizer_train(const TokenizerTrainArgs& args);

struct TokenizerImportArgs {
  std::string from;           ///< tokenizer.json, its folder, *.tiktoken or *.bin
  std::string vocab, merges;  ///< GPT-2's two files
  std::string end_token;      ///< here and below: empty, as the tokenizer's files say
  std::string out;
};
int tokenizer_import(const TokenizerImportArgs& args);

struct ImportArgs {
  std::string source, tokenizer, out;
  std::string dtype;  ///< here and below: empty, as in the source
  bool overwrite = false, json = false;
};
int import_model(const ImportArgs& args);

struct ConvertArgs {
  std::string run, head, out;
  std::vector<std::string> overrides;
  std::string data, valid, end_token;  ///< data: what the new head is fitted to and trained on; valid: measured
  text::TextOptions reading;
  std::int64_t fine_tune = 0;  ///< steps; 0: none
  bool overwrite = false, json = false;
  vk::DeviceOptions device;
};
int convert_head(const ConvertArgs& args);

struct CompressArgs {
  std::string run, data, valid, out, method = "gptq", end_token, format = "md";
  int bits = 4;
  int table_bits = 0;  ///< 0: as bits
  bool offsets = false, overwrite = false, json = false;
  std::int64_t positions = 128 * 1024;
  text::TextOptions reading;
  vk::DeviceOptions device;
};
int compress(const CompressArgs& args);

struct ExportArgs {
  std::string run, format, out, dtype;
  bool overwrite = false, json = false;
};
int export_model(const ExportArgs& args);

struct DataPrepareArgs {
  std::vector<std::string> texts;
  std::string tokenizer, end_token, out;
  text::TextOptions reading;
  bool json = false;
};
int data_prepare(const DataPrepareArgs& args);

struct DataGroupsArgs {
  std::string tokens, out;
  std::string map = "clustered", group_sizes = "equal";
  std::int64_t group_size = 0, groups = 0, shortlist = 0;  ///< 0: derived; none
  std::string embeddings;                                  ///< model folder; empty: vectors from the tokens
  std::string tokenizer, end_token;                        ///< empty: no groups are shown as text
  std::uint64_t seed = 1;
  bool json = false;
};
int data_groups(const DataGroupsArgs& args);

/// What is wanted to be known of kernels that are compiled and not run.
struct CompileArgs {
  bool compile = false;     ///< else the command does its other work
  bool statistics = false;  ///< ask the driver what became of them
  bool no_spills = false;   ///< one that spills registers is a failure
};

inline constexpr const char* kAllProfiles = "all";  ///< of PlanArgs::device_profile: every named one

struct PlanArgs {
  std::string config;
  std::vector<std::string> overrides;
  std::string device_profile;  ///< a name or a file; empty: the device at hand, without predictions
  bool json = false, compare_heads = false, fit = false;
  std::string format;      ///< of a table; empty: md
  std::vector<int> ranks;  ///< processes to predict for
  int ranks_per_host = 8;
  double network = 0;  ///< of a host, Gbit/s; 0: not known
  bool wire_16bit = false;
  CompileArgs compile;
  vk::DeviceOptions device;
};
int plan(const PlanArgs& args);

struct TrainArgs {
  std::string config;
  std::vector<std::string> overrides;
  std::string data, valid, tokenizer, end_token, from, out;
  text::TextOptions reading;
  double valid_fraction = 0;  ///< 0: as the text's documents allow
  std::uint64_t corpus_seed = 1, corpus_stories = 20000;
  std::string resume = "never";
  bool overfit_batch = false, json = false;
  vk::DeviceOptions device;
  RankDevices rank_devices;
};
int train(const TrainArgs& args, train::Reducer* ranks);

/// The command line that runs it, as a POSIX shell takes it; `resume`: what follows --resume, empty: nothing.
std::string train_command(const TrainArgs& args, const std::string& resume);
/// A word as a POSIX shell takes it.
std::string quoted(const std::string& word);
/// The command line of `add_device_flags`, each with a space before it; empty: the defaults.
std::string device_flags(const vk::DeviceOptions& device);

struct CompareArgs {
  std::string study, data, out;
  std::vector<std::string> rows;
  double time_limit = 0;  ///< seconds; 0: none
  bool keep_weights = false, list = false, table = false;
  vk::DeviceOptions device;
};
int compare(const CompareArgs& args);

struct EvalArgs {
  std::string run, data, end_token;
  text::TextOptions reading;
  std::int64_t batch_size = 0, sequence = 0, batches = 0;  ///< 0: as the run's config says; all
  bool by_frequency = false, json = false;
  std::string counts;                                  ///< of by_frequency; empty: the data itself
  std::string weights = "stored", precision = "fp32";  ///< here and below: one of weights::kFormatNames; of activations
  vk::DeviceOptions device;
};
int eval(const EvalArgs& args);

struct ScoreArgs {
  std::string run, text, file, end_token, weights = "stored", precision = "fp32";
  text::TextOptions reading;
  bool json = false;
  vk::DeviceOptions device;
};
int score(const ScoreArgs& args);

struct GenerateArgs {
  std::string run, prompt, end_token;
  infer::SamplerOptions sampler;
  std::vector<std::string> biases;  ///< ID=BIAS
  std::vector<std::string> stops;
  std::string at_context_end = "stop", cache = "fp32", weights = "stored";
  std::int64_t max_tokens = 200;
  std::int64_t samples = 1;
  std::int64_t slots = 0;  ///< 0: as many as there are texts, up to 32
  std::int64_t context = 0;
  std::int64_t top = 0;
  bool lines = false, json = false;
  vk::DeviceOptions device;
};
int generate(const GenerateArgs& args);

/// What --cache names.
graph::DType cache_type(const std::string& name);

/// What the tokenizer's file asks for and is not done to texts and prompts.
void warn_of_tokenizer(const text::Tokenizer& tokenizer);

struct CheckArgs {
  std::string filter;
  int repeats = 3;
  bool quick = false, json = false;
  CompileArgs compile;
  vk::DeviceOptions device;
};
int check(const CheckArgs& args);

struct InfoArgs {
  std::string run;
  bool json = false, keys = false, verify = false;
};
int info_run(const InfoArgs& args);
/// Are the files of a run those that it saved? Status 1 when one differs.
int verify_run(const std::string& run);

struct BenchArgs {
  std::string config;
  std::vector<std::string> overrides;
  std::string format = "md", filter, tokens;
  double seconds = 0.5;
  int steps = 10;
  bool all_variants = false, profile = false;
  std::string by = "kernel";  ///< rows of the profile
  bool ranks = false;         ///< every process that mpirun has started takes part
  std::string timeline;       ///< of ranks: an SVG file; empty: none
  vk::DeviceOptions device;
  RankDevices rank_devices;
};
int bench_ops(const BenchArgs& args);
int bench_train(const BenchArgs& args, train::Reducer* ranks);

struct TuneArgs {
  std::string config;
  std::vector<std::string> overrides;
  int steps = 5;
  std::string format = "md";
  vk::DeviceOptions device;
};
int tune(const TuneArgs& args);

struct BenchHeadsArgs {
  std::string config;
  std::vector<std::string> overrides;
  bench::HeadBenchOptions options;
  std::vector<std::string> tokens;
  std::string format = "md";
  vk::DeviceOptions device;
};
int bench_heads(const BenchHeadsArgs& args);

struct BenchRoofArgs {
  bool quick = false;
  std::string save;  ///< empty: only shown
  std::string format = "md";
  vk::DeviceOptions device;
};
int bench_roof(const BenchRoofArgs& args);

struct BenchPredictArgs {
  std::string config;
  std::vector<std::string> overrides;
  std::string device_profile;  ///< empty: measured first
  int steps = 5;
  std::int64_t context = 0;
  std::string format = "md";
  vk::DeviceOptions device;
};
int bench_predict(const BenchPredictArgs& args);

struct BenchDecodeArgs {
  std::string config;
  std::vector<std::string> overrides;
  bench::DecodeBenchOptions options;
  std::vector<std::string> weights;  ///< empty: fp32
  std::string cache = "fp32", format = "md";
  bool profile = false, json = false;
  std::string by = "kernel";  ///< rows of the profile
  vk::DeviceOptions device;
};
int bench_decode(const BenchDecodeArgs& args);

/// A config for commands that read no text: a vocabulary that it leaves open is that of a tokenizer learned by default;
/// a map file gives the head's sizes.
RunConfig load_with_vocabulary(const std::string& path, const std::vector<std::string>& overrides);

/// Parses the command line and runs the command.
int run_command_line(const std::vector<std::string>& arguments);

}  // namespace fabula::app
