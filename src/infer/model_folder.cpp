#include "infer/model_folder.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/log.hpp"
#include "formats/config_io.hpp"
#include "formats/token_map_tensors.hpp"
#include "heads/token_groups.hpp"
#include "infer/rows_without_token.hpp"
#include "models/weights.hpp"
#include "text/tokenizer_files.hpp"
#include "text/utf8.hpp"

namespace fabula::infer {
namespace {

namespace fs = std::filesystem;

void require(const ModelSource& source, const char* file, const char* what) {
  if (!source.has(file)) fail(ErrorCode::kNotFound, "{} has no {} ({})", source.name(), file, what);
}

}  // namespace

std::unique_ptr<const ModelSource> folder_source(const fs::path& path) {
  if (!fs::is_directory(path))
    fail(ErrorCode::kNotFound, "{} is not a folder; name a run folder (fabula train --out) or a Hugging Face folder",
         path.string());
  return std::make_unique<FolderSource>(path);
}

ModelFolder::ModelFolder(const fs::path& path, const std::string& end_token, const ModelStorage& storage)
    : ModelFolder(folder_source(path), end_token, storage) {}

ModelFolder::ModelFolder(std::unique_ptr<const ModelSource> source, const std::string& end_token,
                         const ModelStorage& storage)
    : source_(std::move(source)), path_(source_->name()) {
  require(*source_, kConfigFile, "what describes the model");
  config_ = parse_config(source_->read(kConfigFile, kMaxConfigBytes), source_->path_of(kConfigFile).string());
  tokenizer_ = std::make_unique<text::Tokenizer>(text::load_tokenizer(*source_, {.end_token = end_token}));
  if (config_.model.vocab_size == 0) config_.model.vocab_size = tokenizer_->vocab_size();
  if (tokenizer_->vocab_size() > config_.model.vocab_size) check_larger_tokenizer();
  settle_ends(text::read_folder_tokens(*source_));
  heads::HeadData head;
  if (config_.model.head.has_map()) head = read_map();
  if (!head.map && heads::needs_map(config_.model.head))
    require(*source_, kTokenMapFile, "which token is in which group");
  model_ = std::make_unique<models::LanguageModel>(config_.model, head, storage.precision,
                                                   weights::Storage(storage.weights, config_.compression));
}

/// The map's file, else the map among the weights, which is all that other programs leave of it.
heads::HeadData ModelFolder::read_map() const {
  heads::HeadData head;
  if (source_->has(kTokenMapFile)) {
    head.map_source = source_->path_of(kTokenMapFile).string();
    head.map =
        parse_token_map(source_->read(kTokenMapFile, kDefaultReadLimit), config_.model.vocab_size, head.map_source);
  } else if (source_->has_weights()) {
    const ModelTensors tensors = ModelTensors::open(*source_);
    head.map = read_token_map_tensors(tensors, config_.model.vocab_size);
    head.map_source = tensors.path().string();
  }
  return head;
}

std::vector<std::uint32_t> ModelFolder::rows_without_token() const {
  return infer::rows_without_token(*tokenizer_, model_->head().vocabulary());
}

void ModelFolder::check_larger_tokenizer() const {
  const std::string sizes = fmt::format("{}: the tokenizer has {} tokens, config.json says vocab_size {}",
                                        path_.string(), tokenizer_->vocab_size(), config_.model.vocab_size);
  if (tokenizer_->has_eot() && tokenizer_->eot_id() >= config_.model.vocab_size)
    fail(ErrorCode::kFormat,
         "{}, and documents end with {} (id {}), which the model does not have: they do not belong together, or "
         "--end-token names the token that it was trained with",
         sizes, text::quote(tokenizer_->end_of_text()), tokenizer_->eot_id());
  warn("{}: a text with one of the others is refused", sizes);
}

void ModelFolder::settle_ends(const text::FolderTokens& tokens) {
  const std::int64_t V = config_.model.vocab_size;
  if (tokenizer_->has_eot()) stop_ids_.push_back(tokenizer_->eot_id());
  for (const std::uint32_t id : tokens.end_ids)
    if (id < V && std::find(stop_ids_.begin(), stop_ids_.end(), id) == stop_ids_.end()) stop_ids_.push_back(id);
  if (tokens.begin_id && *tokens.begin_id < std::min<std::int64_t>(V, tokenizer_->vocab_size()))
    start_id_ = tokens.begin_id;
  else if (tokenizer_->has_eot())
    start_id_ = tokenizer_->eot_id();
}

void ModelFolder::check_ids(std::span<const std::uint32_t> ids) const {
  refuse_ids_beyond(config_.model.vocab_size, ids, *tokenizer_);
}

void ModelFolder::check_ids(const text::TokenFile& tokens) const {
  if (tokens.vocab_size() <= config_.model.vocab_size) return;
  std::vector<std::uint32_t> ids(1 << 16);
  for (std::uint64_t begin = 0; begin < tokens.size(); begin += ids.size()) {
    ids.resize(std::min<std::uint64_t>(ids.size(), tokens.size() - begin));
    tokens.read(begin, ids);
    refuse_ids_beyond(config_.model.vocab_size, ids, *tokenizer_, begin);
  }
}

void refuse_ids_beyond(std::int64_t vocab_size, std::span<const std::uint32_t> ids, const text::Tokenizer& tokenizer,
                       std::uint64_t first) {
  const auto beyond = std::find_if(ids.begin(), ids.end(), [&](std::uint32_t id) { return id >= vocab_size; });
  if (beyond == ids.end()) return;
  const std::string token = *beyond < tokenizer.vocab_size() ? text::quote(tokenizer.token_bytes(*beyond)) : "unknown";
  fail(ErrorCode::kInvalidArgument,
       "token {} of the text has id {} ({}), the model has {} tokens: it never saw this one; leave it out of the text",
       first + static_cast<std::uint64_t>(beyond - ids.begin()), *beyond, token, vocab_size);
}

fs::path ModelFolder::weights() const {
  return source_->path_of(source_->weights());
}
void ModelFolder::load_weights(graph::Runtime& runtime) const {
  models::load_weights(runtime, *model_, ModelTensors::open(*source_));
}

}  // namespace fabula::infer
