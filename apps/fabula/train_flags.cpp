#include "all_commands.hpp"
#include "common_flags.hpp"

namespace fabula::app {

void declare_training_commands(CommandLine& line, AllArgs& args) {
  CLI::App* sub = line.command(line.app(), "plan", "show memory and work of a run before running it", args.plan, plan,
                               kTrainingMemory);
  add_config_flags(sub, args.plan.config, args.plan.overrides);
  CLI::Option* json = sub->add_flag("--json", args.plan.json, "as JSON");
  CLI::Option* compare =
      sub->add_flag("--compare-heads", args.plan.compare_heads, "a table of what every kind of head would cost");
  CLI::Option* profile =
      sub->add_option("--device-profile", args.plan.device_profile,
                      "plan for a device that need not be here, and predict its times: a name, a file "
                      "of bench roof --save, or all: a table of the named ones");
  add_format_flag(sub, args.plan.format)->excludes(json);
  CLI::Option* fit =
      sub->add_flag("--fit", args.plan.fit, "which batch sizes fit the device's memory, or that of --memory")
          ->excludes(compare);
  CLI::Option* ranks =
      sub->add_option("--ranks", args.plan.ranks,
                      "a table of what so many processes would reach together, each with such a step of its own: "
                      "1,2,4,8 (docs/distributed.md)")
          ->delimiter(',')
          ->allow_extra_args(false)
          ->check(CLI::Range(1, 1 << 20))
          ->needs(profile)
          ->excludes(compare)
          ->excludes(fit);
  sub->add_option("--ranks-per-host", args.plan.ranks_per_host, "devices of a host")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->needs(ranks);
  sub->add_option("--network", args.plan.network,
                  "what a host's network takes, in Gbit/s: for more ranks than a host has")
      ->check(CLI::Range(0.001, 1e6))
      ->needs(ranks);
  sub->add_flag("--wire-16bit", args.plan.wire_16bit, "were gradients to travel in 16 bits")->needs(ranks);
  add_compile_flags(sub, args.plan.compile, "compile the run's kernels instead; a device without memory will do")
      ->excludes(compare)
      ->excludes(ranks)
      ->excludes(fit)
      ->excludes(profile);
  add_device_flags(sub, args.plan.device);
  profile->excludes(sub->get_option("--device"));

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
  add_work_device_flags(sub, args.train.device);
  add_rank_device_flags(sub, args.train.rank_devices);
}

void declare_compare_command(CommandLine& line, AllArgs& all) {
  CompareArgs& args = all.compare;
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
  add_work_device_flags(sub, args.device);
}

}  // namespace fabula::app
