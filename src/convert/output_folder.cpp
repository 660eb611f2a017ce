#include "convert/output_folder.hpp"

#include <system_error>
#include <vector>

#include "base/fail.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;

/// What a model folder may hold that changes what its other files mean; a former model's must not stay beside a new
/// one.
constexpr std::string_view kOfModels[] = {"config.json",
                                          "generation_config.json",
                                          "model.safetensors",
                                          "model.safetensors.index.json",
                                          "tokenizer.json",
                                          "tokenizer_config.json",
                                          "special_tokens_map.json",
                                          "added_tokens.json",
                                          "vocab.json",
                                          "merges.txt",
                                          "token_groups.json",
                                          "modeling_fabula.py",
                                          "configuration_fabula.py",
                                          "model.bin",
                                          "tokenizer.bin"};

bool holds_model(const fs::path& path) {
  return fs::exists(path / "config.json") || fs::exists(path / "model.bin");
}

void check_folder(const fs::path& path, bool overwrite) {
  std::error_code code;
  if (!fs::exists(path, code)) return;
  const std::string name = path.string();
  if (!fs::is_directory(path, code))
    fail(ErrorCode::kInvalidArgument, "{} is no folder; name one that is not there yet", name);
  if (fs::is_empty(path, code)) return;
  if (!overwrite)
    fail(ErrorCode::kInvalidArgument,
         "{} holds files already; name a folder that is not there yet, or say --overwrite to replace the model in it",
         name);
  if (fs::exists(path / "state.json"))
    fail(ErrorCode::kInvalidArgument, "{} holds a run that can be trained on, which is never overwritten; name another",
         name);
  if (!holds_model(path))
    fail(ErrorCode::kInvalidArgument, "{} holds files that are no model, which --overwrite leaves alone; name another",
         name);
  for (const std::string_view file : kOfModels) check_no_link_out(path, file);
}

}  // namespace

OutputFolder::OutputFolder(const fs::path& path, bool overwrite) : path_(path), existed_(fs::exists(path)) {
  check_folder(path, overwrite);
  update_.emplace(path);
}

OutputFolder::~OutputFolder() {
  update_.reset();
  std::error_code ignored;
  if (!existed_) fs::remove(path_, ignored);  // if nothing is in it
}

void OutputFolder::commit() {
  std::vector<fs::path> former;
  for (const std::string_view name : kOfModels)
    if (!fs::exists(update_->path_of(name))) former.push_back(path_ / name);
  update_->commit();
  for (const fs::path& file : former) fs::remove(file);
}

void check_output_file(const fs::path& path, bool overwrite) {
  if (fs::exists(path) && !overwrite)
    fail(ErrorCode::kInvalidArgument, "{} is there already; name another file, or say --overwrite to replace it",
         path.string());
}

}  // namespace fabula::convert
