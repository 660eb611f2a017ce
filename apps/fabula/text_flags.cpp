#include "all_commands.hpp"
#include "common_flags.hpp"

namespace fabula::app {

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

}  // namespace fabula::app
