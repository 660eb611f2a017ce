#include "convert/output_folder.hpp"

#include <nlohmann/json.hpp>

#include <set>
#include <span>
#include <system_error>
#include <vector>

#include "base/fail.hpp"
#include "base/file_errors.hpp"
#include "base/file_io.hpp"
#include "base/file_kind.hpp"
#include "convert/model_card.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;

/// What a model folder may hold that changes what its other files mean; a former model's must not stay beside a new
/// one.
constexpr std::string_view kOfModels[] = {"config.json",
                                          "generation_config.json",
                                          "model.safetensors",
                                          "model.safetensors.index.json",
                                          "adapter_config.json",
                                          "adapter_model.safetensors",
                                          "tokenizer.json",
                                          "tokenizer.model",
                                          "tokenizer_config.json",
                                          "chat_template.jinja",
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
  return fs::exists(FolderUpdate::current(path, "config.json")) || fs::exists(FolderUpdate::current(path, "model.bin"));
}

/// Files of weights that a folder's index lists, beside it.
std::vector<fs::path> shards_of(const fs::path& folder) {
  const fs::path index = folder / "model.safetensors.index.json";
  if (!fs::is_regular_file(index)) return {};
  const auto json = nlohmann::json::parse(read_file(index), nullptr, false);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (map == json.end() || !map->is_object()) return {};
  std::set<fs::path> shards;
  for (const auto& file : *map) {
    if (!file.is_string()) continue;
    const fs::path name = file.get<std::string>();
    if (name == name.filename() && name.extension() == ".safetensors") shards.insert(name);
  }
  return {shards.begin(), shards.end()};
}

bool is_what_is_read(const fs::path& target, const fs::path& input) {
  std::error_code code;
  if (fs::equivalent(input, target, code)) return true;
  if (!fs::is_regular_file(input, code)) return false;
  return fs::equivalent(parent_of(input), target, code) ||
         fs::equivalent(fs::canonical(input, code).parent_path(), target, code);
}

void check_not_read(const fs::path& target, std::span<const fs::path> inputs) {
  for (const fs::path& input : inputs)
    if (is_what_is_read(target, input))
      fail(ErrorCode::kInvalidArgument, "{} is what is read; name another --out", target.string());
}

void check_folder(const fs::path& path, bool overwrite) {
  std::error_code code;
  if (!fs::exists(path, code)) return;
  const std::string name = path.string();
  if (!fs::is_directory(path, code))
    fail(ErrorCode::kInvalidArgument, "{} is no folder; name one that is not there yet", name);
  if (FolderUpdate::is_empty(path)) return;
  if (!overwrite)
    fail(ErrorCode::kInvalidArgument,
         "{} holds files already; name a folder that is not there yet, or say --overwrite to replace the model in it",
         name);
  if (fs::exists(FolderUpdate::current(path, "state.json")))
    fail(ErrorCode::kInvalidArgument, "{} holds a run that can be trained on, which is never overwritten; name another",
         name);
  if (!holds_model(path))
    fail(ErrorCode::kInvalidArgument, "{} holds files that are no model, which --overwrite leaves alone; name another",
         name);
  for (const std::string_view file : kOfModels) check_no_link_out(path, file);
}

}  // namespace

OutputFolder::OutputFolder(const fs::path& path, bool overwrite, const std::vector<fs::path>& inputs)
    : path_(path), existed_(fs::exists(path)) {
  check_not_read(path, inputs);
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
  const auto add = [&](const fs::path& name) {
    if (!fs::exists(update_->path_of(name.string()))) former.push_back(path_ / name);
  };
  for (const std::string_view name : kOfModels) add(name);
  for (const fs::path& shard : shards_of(path_)) add(shard);
  if (is_model_card(first_bytes(path_ / kModelCardFile))) add(kModelCardFile);
  update_->commit();
  for (const fs::path& file : former) {
    std::error_code code;
    fs::remove(file, code);
    check_done(code, file, "remove, though it is of a former model");
  }
}

std::string name_of_folder(const fs::path& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

void check_output_file(const fs::path& path, bool overwrite, const std::vector<fs::path>& inputs) {
  check_not_read(path, inputs);
  std::error_code code;
  if (!fs::exists(path, code)) return;
  if (fs::is_directory(path, code))
    fail(ErrorCode::kInvalidArgument, "{} is a folder, and a file is written; name one", path.string());
  if (!overwrite)
    fail(ErrorCode::kInvalidArgument, "{} is there already; name another file, or say --overwrite to replace it",
         path.string());
  const std::string bytes = fs::is_regular_file(path, code) ? first_bytes(path) : "no file";
  const bool empty = bytes.empty() && fs::file_size(path, code) == 0;
  if (!empty && file_kind(bytes) != FileKind::kGguf)
    fail(ErrorCode::kInvalidArgument, "{} is no GGUF file, which --overwrite leaves alone; name another file",
         path.string());
}

}  // namespace fabula::convert
