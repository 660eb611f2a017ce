#include "all_commands.hpp"
#include "common_flags.hpp"
#include "weights/format.hpp"

namespace fabula::app {
namespace {

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

void add_bench_predict_flags(CLI::App* sub, BenchPredictArgs& args) {
  add_config_flags(sub, args.config, args.overrides);
  sub->add_option("--device-profile", args.device_profile,
                  "file of bench roof --save for this device; missing: it is measured first");
  sub->add_option("--steps", args.steps, "measured steps, after two to warm up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  sub->add_option("--context", args.context, "tokens that a text has when a token is timed; 0: half of the model's")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
}

void add_bench_serve_flags(CLI::App* sub, BenchServeArgs& args) {
  sub->add_option("run", args.run, "run folder or Hugging Face folder")->required();
  sub->add_option("--streams", args.options.streams, "clients at once: 1,8,32")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  sub->add_option("--tokens", args.options.tokens, "tokens that each is written")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  sub->add_option("--prompt", args.options.prompt, "tokens of a prompt")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  sub->add_option("--repeats", args.options.repeats, "timed, after a warm-up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

}  // namespace

void declare_bench_commands(CommandLine& line, AllArgs& args) {
  CLI::App* bench = line.app().add_subcommand("bench", "measure speed on this device")->require_subcommand(1);
  const auto add_format = [](CLI::App* command, auto& bench_args) {
    add_format_flag(command, bench_args.format);
    add_work_device_flags(command, bench_args.device);
  };
  CLI::App* sub = line.command(*bench, "ops", "single ops at training's shapes", args.bench_ops, bench_ops);
  sub->add_option("--filter", args.bench_ops.filter, "only benchmarks whose name contains this");
  sub->add_option("--seconds", args.bench_ops.seconds, "time to spend on each")
      ->check(CLI::Range(0.01, 60.0))
      ->capture_default_str();
  sub->add_flag("--all-variants", args.bench_ops.all_variants, "every kernel variant, not only the first choice");
  add_format_flag(sub, args.bench_ops.format);
  add_device_flags(sub, args.bench_ops.device);
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
  CLI::Option* ranks =
      sub->add_flag("--ranks", args.bench_train.ranks,
                    "under mpirun: all processes train together, the config's own head; what each computes is as the "
                    "config says, and the table tells where their gradients' time goes")
          ->excludes(profile)
          ->excludes(sub->get_option("--filter"));
  sub->add_option("--timeline", args.bench_train.timeline, "also draw one step of rank 0 into this SVG file")
      ->needs(ranks);
  add_format(sub, args.bench_train);
  add_rank_device_flags(sub, args.bench_train.rank_devices);
  sub = line.command(*bench, "heads", "memory and speed of every kind of head, one table", args.bench_heads,
                     bench_heads, kTrainingMemory);
  add_bench_heads_flags(sub, args.bench_heads);
  add_format(sub, args.bench_heads);
  sub = line.command(*bench, "decode", "reading prompts and writing tokens: grouped beside full head, contexts, slots",
                     args.bench_decode, bench_decode, kDecodingMemory);
  add_bench_decode_flags(sub, args.bench_decode);
  CLI::Option* json = sub->add_flag("--json", args.bench_decode.json, "as -o json");
  add_format_flag(sub, args.bench_decode.format)->excludes(json);
  add_work_device_flags(sub, args.bench_decode.device);
  sub = line.command(*bench, "roof", "what predictions need to know of this device: rates, fixed costs, kernels",
                     args.bench_roof, bench_roof);
  sub->add_option("--save", args.bench_roof.save, "also write it as a profile, for plan --device-profile");
  sub->add_flag("--quick", args.bench_roof.quick, "the kernels of one small model alone: a first look, in seconds");
  add_format(sub, args.bench_roof);
  sub = line.command(*bench, "predict", "predicted and measured: a training step, a token, and their memory",
                     args.bench_predict, bench_predict, kTrainingMemory);
  add_bench_predict_flags(sub, args.bench_predict);
  add_format(sub, args.bench_predict);
  sub = line.command(*bench, "serve", "a server and clients that stream from it: tokens/s, fairness, first byte",
                     args.bench_serve, bench_serve, kDecodingMemory);
  add_bench_serve_flags(sub, args.bench_serve);
  add_format(sub, args.bench_serve);
}

}  // namespace fabula::app
