#pragma once
#include <filesystem>
#include <memory>
#include <vector>

#include "formats/model_config.hpp"
#include "graph/runtime.hpp"
#include "models/language_model.hpp"
#include "text/tokenizer.hpp"

namespace fabula::infer {

/// A trained model on disk: a run folder of fabula or a Hugging Face folder (GPT-2, GPT-Neo). Read only; safe beside a
/// trainer.
class ModelFolder {
 public:
  /// Reads config and tokenizer (tokenizer.json, else vocab.json with merges.txt). Throws kNotFound naming what is
  /// missing, kFormat, kUnsupported.
  explicit ModelFolder(const std::filesystem::path& path);

  const RunConfig& config() const { return config_; }
  const models::LanguageModel& model() const { return *model_; }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Rows of the model that no token of the tokenizer has (infer/rows_without_token.hpp).
  std::vector<std::uint32_t> rows_without_token() const;
  std::filesystem::path weights() const;  ///< see weights_path
  /// Puts the weights on the device.
  void load_weights(graph::Runtime& runtime) const;

 private:
  std::filesystem::path path_;
  RunConfig config_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::unique_ptr<models::LanguageModel> model_;
};

}  // namespace fabula::infer
