#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "formats/run_config.hpp"
#include "heads/head.hpp"
#include "text/token_file.hpp"

namespace fabula::train {

class StartFrom;

/// Where a run's text comes from. Everything may be left empty: then the built-in stories are used.
struct DataOptions {
  std::filesystem::path data;       ///< a token file or a text file
  std::filesystem::path valid;      ///< likewise; empty: held out from a text, none for a token file
  std::filesystem::path tokenizer;  ///< see text::load_tokenizer; empty: learned from the text
  std::string end_token;            ///< text of the token that ends a document; empty: as the tokenizer's files say
  std::uint64_t corpus_seed = 1, corpus_stories = 20000;
  text::TextOptions text;     ///< how the given texts are read
  double valid_fraction = 0;  ///< of a text held out for validation; 0: one document in 50, nothing of a single one
  const StartFrom* from = nullptr;  ///< what the run starts from: its token map may be the head's; null: fresh weights
  const TokenMap* map = nullptr;    ///< the head's, made before as the config says; null: it is made
};

/// What a run reads.
struct DataSet {
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::unique_ptr<text::TokenFile> train;
  std::unique_ptr<text::TokenFile> valid;  ///< null: no validation
  std::string description;                 ///< for reports
  heads::HeadData head;                    ///< what the head takes from the training tokens
};

/// Vocabulary of a tokenizer that is learned because neither flags nor config name one.
inline constexpr std::uint32_t kDefaultVocabulary = 2048;

/// Takes the vocabulary's size from the tokenizer where the config leaves it open. Error kInvalidArgument where it says
/// another one.
void settle_vocabulary(RunConfig& config, const text::Tokenizer& tokenizer);

/// Opens or makes what a run reads; made files go to RUN/data and are found there again, unless other
/// texts are given: then they are made anew, and a run that has a checkpoint is refused. Fills config.model.vocab_size
/// when the config leaves it open, and the head's sizes when a map file gives them, and states in it the ids that start
/// and end documents (the config's own where the tokenizer has and its files name no others); throws kInvalidArgument
/// when the tokenizer has another vocabulary than the config or a text holds nothing.
DataSet open_data(const DataOptions& options, RunConfig& config, const std::filesystem::path& run);

}  // namespace fabula::train
