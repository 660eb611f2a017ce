#include "all_commands.hpp"
#include "common_flags.hpp"

namespace fabula::app {

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
  add_work_device_flags(sub, args.eval.device);

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
  add_work_device_flags(sub, args.score.device);

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
  add_work_device_flags(sub, args.generate.device);

  sub = line.command(line.app(), "info", "what a run folder holds", args.info, info_run);
  sub->add_option("run", args.info.run, "run folder");
  sub->add_flag("--json", args.info.json, "as JSON");
  sub->add_flag("--verify", args.info.verify,
                "only compare the checkpoint's files with their checksums; status 1 on a miss");
  sub->add_flag("--config-keys", args.info.keys, "print the reference of all config keys instead");
}

}  // namespace fabula::app
