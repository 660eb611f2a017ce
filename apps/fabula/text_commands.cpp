#include <cstdio>
#include <deque>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/terminal.hpp"
#include "commands.hpp"
#include "json_output.hpp"
#include "text/corpus.hpp"
#include "text/text_file.hpp"
#include "text/token_file.hpp"
#include "text/tokenizer_files.hpp"
#include "text/train_bpe.hpp"

namespace fabula::app {
namespace {

std::vector<std::filesystem::path> paths(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

}  // namespace

int corpus(const CorpusArgs& args) {
  if (args.out.empty()) {
    text::write_corpus(args.seed, args.stories, [](std::string_view story) {
      if (std::fwrite(story.data(), 1, story.size(), stdout) != story.size())
        fail(ErrorCode::kIo, "standard output: cannot be written");
    });
    return 0;
  }
  info("{}: {} stories, {} bytes", args.out, args.stories, text::write_corpus_file(args.out, args.seed, args.stories));
  return 0;
}

int tokenizer_train(const TokenizerTrainArgs& args) {
  checked_target(args.out, paths(args.texts));
  std::deque<text::TextFile> texts;
  std::vector<text::Documents> of_texts;
  std::vector<std::string_view> documents;
  for (const std::string& path : args.texts) {
    const text::TextFile& text = texts.emplace_back(path, args.reading);
    for (const std::string& note : text.notes()) log_info(note);
    const text::Documents& more = of_texts.emplace_back(text.documents());
    documents.insert(documents.end(), more.views.begin(), more.views.end());
  }
  text::TrainBpeOptions options;
  options.vocab_size = args.vocab_size;
  const text::Tokenizer tokenizer = text::train_bpe(documents, options);
  for (const text::TextFile& text : texts) text.check();
  text::write_tokenizer_json(tokenizer, args.out);
  info("{}: {} tokens", args.out, tokenizer.vocab_size());
  if (tokenizer.vocab_size() < args.vocab_size)
    warn("the text has no further pair that occurs twice: {} tokens instead of {}", tokenizer.vocab_size(),
         args.vocab_size);
  return 0;
}

int tokenizer_import(const TokenizerImportArgs& args) {
  if (args.from.empty() == args.vocab.empty() || args.vocab.empty() != args.merges.empty())
    fail(ErrorCode::kInvalidArgument, "name either one file or folder to import, or both --vocab and --merges");
  checked_target(args.out, paths({args.from, args.vocab, args.merges}));
  text::Tokenizer tokenizer = args.from.empty() ? text::load_gpt2(args.vocab, args.merges, {args.end_token})
                                                : text::load_tokenizer(args.from, {args.end_token});
  for (const std::string& note : tokenizer.notes()) log_warn(note);
  text::write_tokenizer_json(tokenizer, args.out);
  info("{}: {} tokens", args.out, tokenizer.vocab_size());
  return 0;
}

int data_prepare(const DataPrepareArgs& args) {
  const std::vector<std::filesystem::path> texts = paths(args.texts);
  std::vector<std::filesystem::path> inputs = texts;
  inputs.emplace_back(args.tokenizer);
  checked_target(args.out, inputs);
  const text::Tokenizer tokenizer = text::load_tokenizer(args.tokenizer, {args.end_token});
  for (const std::string& note : tokenizer.notes()) log_warn(note);
  const text::TokenFileCounts counts = text::prepare_token_file(texts, tokenizer, args.out, 0, args.reading);
  for (const std::string& note : counts.notes) log_info(note);
  if (args.json) {
    print("{}\n", dump({{"documents", counts.documents}, {"tokens", counts.tokens}, {"bytes", counts.bytes}}));
  } else {
    info("{}: {} documents, {} tokens from {} bytes", args.out, counts.documents, counts.tokens, counts.bytes);
  }
  return 0;
}

}  // namespace fabula::app
