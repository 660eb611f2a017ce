#include "infer/model_folder.hpp"

#include "base/fail.hpp"
#include "base/folder_update.hpp"
#include "formats/config_io.hpp"
#include "heads/token_groups.hpp"
#include "infer/rows_without_token.hpp"
#include "models/weights.hpp"
#include "text/tokenizer_files.hpp"

namespace fabula::infer {
namespace {

namespace fs = std::filesystem;

fs::path existing(const fs::path& folder, const char* name, const char* what) {
  fs::path path = FolderUpdate::current(folder, name);
  if (!fs::exists(path)) fail(ErrorCode::kNotFound, "{} has no {} ({})", folder.string(), name, what);
  return path;
}

text::Tokenizer read_tokenizer(const fs::path& folder) {
  const fs::path json = FolderUpdate::current(folder, "tokenizer.json");
  if (!fs::exists(json) && fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt"))
    return text::import_gpt2(folder / "vocab.json", folder / "merges.txt");
  return text::read_tokenizer_json(existing(folder, "tokenizer.json", "nor vocab.json with merges.txt"));
}

}  // namespace

ModelFolder::ModelFolder(const fs::path& path) : path_(path) {
  if (!fs::is_directory(path))
    fail(ErrorCode::kNotFound, "{} is not a folder; name a run folder (fabula train --out) or a Hugging Face folder",
         path.string());
  config_ = load_config(existing(path, "config.json", "what describes the model"));
  tokenizer_ = std::make_unique<text::Tokenizer>(read_tokenizer(path));
  if (config_.model.vocab_size == 0) config_.model.vocab_size = tokenizer_->vocab_size();
  if (tokenizer_->vocab_size() > config_.model.vocab_size)
    fail(ErrorCode::kFormat, "{}: the tokenizer has {} tokens, config.json says vocab_size {}", path.string(),
         tokenizer_->vocab_size(), config_.model.vocab_size);
  heads::HeadData head;
  const fs::path map = FolderUpdate::current(path, kTokenMapFile);
  if (config_.model.head.has_map() && fs::exists(map)) {
    head.map = read_token_map(map, config_.model.vocab_size);
    head.map_source = map.string();
  }
  if (!head.map && heads::needs_map(config_.model.head)) existing(path, kTokenMapFile, "which token is in which group");
  model_ = std::make_unique<models::LanguageModel>(config_.model, head);
}

std::vector<std::uint32_t> ModelFolder::rows_without_token() const {
  return infer::rows_without_token(*tokenizer_, model_->head().vocabulary());
}
fs::path ModelFolder::weights() const {
  return weights_path(path_);
}
void ModelFolder::load_weights(graph::Runtime& runtime) const {
  models::load_weights(runtime, *model_, ModelTensors::open(path_));
}

}  // namespace fabula::infer
