#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "formats/model_tensors.hpp"
#include "formats/run_config.hpp"
#include "formats/run_state.hpp"
#include "formats/token_map.hpp"
#include "graph/runtime.hpp"
#include "models/language_model.hpp"
#include "text/tokenizer.hpp"

namespace fabula::train {

/// A folder whose weights a run starts from: a run folder or a Hugging Face folder. Only read; safe beside a trainer.
class StartFrom {
 public:
  /// Opens the weights, and reads config, tokenizer and token map where they are there. `tokenizer` is what the user
  /// named; empty: nothing. Errors: kNotFound, kFormat, kIo.
  StartFrom(std::filesystem::path folder, std::filesystem::path tokenizer);

  /// "RUN (step 40)".
  std::string description() const;
  /// The tokenizer that the new run is to use: the one that the user named, else the folder's own where the config asks
  /// for its number of tokens. Empty: none, so that one is learned.
  std::filesystem::path tokenizer_for(const RunConfig& config) const;
  /// The folder's token map, for a head of the kind and sizes that it was made for, over the same tokens.
  std::optional<TokenMap> token_map_for(const RunConfig& config, const text::Tokenizer& tokenizer) const;
  /// Puts onto the device what the model and the folder have in common, over fresh weights, and says what starts fresh.
  /// Errors: kInvalidArgument when they have nothing in common; kFormat for weights that are not finite.
  void load(graph::Runtime& runtime, const models::LanguageModel& model, const text::Tokenizer& tokenizer) const;

 private:
  bool has_tokens_of(const text::Tokenizer& tokenizer) const;
  void warn_of_other_meaning(const ModelConfig& model) const;

  std::filesystem::path folder_, named_tokenizer_;
  ModelTensors tensors_;
  std::optional<RunConfig> config_;  ///< absent: none, or one that cannot be read
  std::optional<text::Tokenizer> tokenizer_;
  std::string tokenizer_error_;  ///< why it cannot be read
  std::optional<std::int64_t> step_;
};

/// Throws kInvalidArgument when the folders are the same one: a run does not start from itself.
void check_other_folder(const std::filesystem::path& from, const std::filesystem::path& out);

/// A run that goes on does so from its own checkpoint: warns when it was started from something else than `from`.
void check_same_start(const RunState& saved, const std::filesystem::path& from);

}  // namespace fabula::train
