#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/model_source.hpp"
#include "formats/run_config.hpp"
#include "graph/runtime.hpp"
#include "models/language_model.hpp"
#include "text/text_ends.hpp"
#include "text/token_file.hpp"
#include "text/tokenizer.hpp"

namespace fabula::infer {

/// What a model is stored in on the device.
struct ModelStorage {
  weights::Format weights = weights::Format::kFp32;
  Precision precision = Precision::kFp32;  ///< of activations, where losses are computed
};

/// A folder on disk; kNotFound for what is none.
std::unique_ptr<const ModelSource> folder_source(const std::filesystem::path& path);

/// A trained model: the files of a run folder of fabula or a Hugging Face folder (GPT-2, GPT-Neo, Llama), on disk or
/// elsewhere. Read only; safe beside a trainer.
class ModelFolder {
 public:
  /// Reads config and tokenizer (tokenizer.json, else vocab.json with merges.txt). `end_token` is the text of the token
  /// that ends a document; empty: as the folder's files say. A tokenizer with more tokens than the model is taken with
  /// a warning, unless what ends a document is one of them; check_ids finds the texts that have them. Throws kNotFound
  /// naming what is missing, kFormat, kUnsupported, kInvalidArgument for an end token that the tokenizer does not have.
  explicit ModelFolder(const std::filesystem::path& path, const std::string& end_token = {},
                       const ModelStorage& storage = {});
  /// The same of files that lie anywhere.
  explicit ModelFolder(std::unique_ptr<const ModelSource> source, const std::string& end_token = {},
                       const ModelStorage& storage = {});

  /// The folder; of files that lie elsewhere, what messages call them.
  const std::filesystem::path& path() const { return path_; }
  const RunConfig& config() const { return config_; }
  const models::LanguageModel& model() const { return *model_; }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Generation stops at any of these: eos_token_id of config.json and generation_config.json, and what ends a
  /// document.
  const std::vector<std::uint32_t>& stop_ids() const { return stop_ids_; }
  /// What stands before a text: config.json's bos_token_id, else what ends a document; none where neither is named.
  std::optional<std::uint32_t> start_id() const { return start_id_; }
  /// Throws kInvalidArgument for an id that the model has no row for, naming the first one.
  void check_ids(std::span<const std::uint32_t> ids) const;
  void check_ids(const text::TokenFile& tokens) const;
  /// Rows of the model that no token of the tokenizer has (infer/rows_without_token.hpp).
  std::vector<std::uint32_t> rows_without_token() const;
  std::filesystem::path weights() const;  ///< see weights_path
  /// Puts the weights on the device.
  void load_weights(graph::Runtime& runtime) const;

 private:
  heads::HeadData read_map() const;
  void check_larger_tokenizer() const;
  void settle_ends(const text::FolderTokens& tokens);

  std::unique_ptr<const ModelSource> source_;
  std::filesystem::path path_;
  RunConfig config_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::unique_ptr<models::LanguageModel> model_;
  std::vector<std::uint32_t> stop_ids_;
  std::optional<std::uint32_t> start_id_;
};

/// Throws kInvalidArgument for an id of `vocab_size` or more, naming it, its token and its place in a text of which
/// `ids` begins with token `first`.
void refuse_ids_beyond(std::int64_t vocab_size, std::span<const std::uint32_t> ids, const text::Tokenizer& tokenizer,
                       std::uint64_t first = 0);

}  // namespace fabula::infer
