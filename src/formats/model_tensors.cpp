#include "formats/model_tensors.hpp"

#include <nlohmann/json.hpp>
#include <set>

#include "base/fail.hpp"
#include "base/file_kind.hpp"
#include "formats/json_access.hpp"
#include "formats/token_map.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kMaxIndexBytes = 100'000'000;
constexpr std::size_t kMaxShards = 1000;  // the largest models that are published have fewer than 200
constexpr std::size_t kMaxTensors = 1'000'000;

std::string file_name(const SafetensorsFile& file) {
  return file.path().filename().string();
}

bool stays_in_folder(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

/// What an index says: the shard of each tensor.
std::map<std::string, std::string> read_index(const ModelSource& files) {
  const fs::path path = files.path_of(kWeightsIndexFile);
  const std::string source = path.string();
  const std::string text = files.read(kWeightsIndexFile, kMaxIndexBytes);
  refuse_git_lfs_pointer(text, path);
  const json index = parse_json(text, source, {.max_bytes = kMaxIndexBytes, .max_depth = 4});
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object() || map->empty())
    fail(ErrorCode::kFormat, "{}: \"weight_map\" must be an object that says which file each tensor is in", source);
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) fail(ErrorCode::kFormat, "{}: the file of tensor \"{}\" is not a name", source, tensor);
    const auto name = file.get<std::string>();
    if (!stays_in_folder(name))
      fail(ErrorCode::kFormat, "{}: tensor \"{}\" is said to lie in {}; the files must lie beside the index", source,
           tensor, dump_json(file));
    shards.emplace(tensor, name);
  }
  return shards;
}

}  // namespace

ModelTensors ModelTensors::open(const ModelSource& source) {
  ModelTensors tensors;
  const std::string weights = source.weights();
  tensors.path_ = source.path_of(weights);
  if (weights == kWeightsIndexFile)
    tensors.open_shards(source);
  else
    tensors.add(SafetensorsFile::open(source.open(weights)));
  return tensors;
}

ModelTensors::ModelTensors(SafetensorsFile file) : path_(file.path()) {
  add(std::move(file));
}

void ModelTensors::open_shards(const ModelSource& files) {
  const std::string source = path_.string();
  const std::map<std::string, std::string> index = read_index(files);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : index) shards.insert(shard);
  if (shards.size() > kMaxShards)
    fail(ErrorCode::kFormat, "{}: names {} files, at most {} are read", source, shards.size(), kMaxShards);
  for (const std::string& shard : shards) {
    if (!files.has(shard))
      fail(ErrorCode::kNotFound, "{} is missing: {} names it among {} files with weights; fetch the folder again",
           files.path_of(shard).string(), kWeightsIndexFile, shards.size());
    add(SafetensorsFile::open(files.open(shard)));
  }
  for (const auto& [tensor, shard] : index) {
    const auto found = file_of_.find(tensor);
    if (found == file_of_.end())
      fail(ErrorCode::kFormat, "{}: tensor \"{}\" is said to lie in {}, which has no such tensor; {}", source, tensor,
           shard, "index and files do not belong together, fetch the folder again");
    if (file_name(files_[found->second]) != shard)
      fail(ErrorCode::kFormat, "{}: tensor \"{}\" is said to lie in {}, it lies in {}; fetch the folder again", source,
           tensor, shard, file_name(files_[found->second]));
  }
  for (const auto& [tensor, file] : file_of_)
    if (!index.contains(tensor))
      fail(ErrorCode::kFormat, "{}: holds tensor \"{}\", which {} does not name; fetch the folder again",
           files_[file].path().string(), tensor, kWeightsIndexFile);
}

void ModelTensors::add(SafetensorsFile file) {
  for (const std::string& name : file.names()) {
    const auto [other, is_new] = file_of_.emplace(name, files_.size());
    if (!is_new)
      fail(ErrorCode::kFormat, "{}: tensor \"{}\" lies in {} too; which of the two counts is unknown",
           file.path().string(), name, file_name(files_[other->second]));
  }
  if (file_of_.size() > kMaxTensors) fail(ErrorCode::kFormat, "{}: more than {} tensors", path_.string(), kMaxTensors);
  files_.push_back(std::move(file));
}

std::vector<std::string> ModelTensors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : file_of_) names.push_back(name);
  return names;
}

const SafetensorsFile& ModelTensors::file_of(std::string_view name) const {
  const auto it = file_of_.find(name);
  if (it == file_of_.end()) fail(ErrorCode::kNotFound, "{}: has no tensor \"{}\"", path_.string(), name);
  return files_[it->second];
}

void check_map_step(std::int64_t map_step, const ModelTensors& tensors) {
  if (tensors.names().empty()) return;
  const SafetensorsFile& file = tensors.file_of(tensors.names().front());
  if (!file.metadata().contains(kWeightsStepKey)) return;
  const auto noted = file.metadata().find(kMapStepKey);
  const std::string own = std::to_string(map_step), needed = noted == file.metadata().end() ? "0" : noted->second;
  if (own == needed) return;
  const auto made = [](const std::string& step) { return step == "0" ? "before the run" : "after step " + step; };
  const bool map_is_older = own.size() < needed.size() || (own.size() == needed.size() && own < needed);
  const fs::path map = file.path().parent_path() / kTokenMapFile;
  fail(ErrorCode::kFormat,
       "{} was made {}, the weights in {} are of the map made {}: {} is the older of the two files; restore both from "
       "one copy of the folder",
       map.string(), made(own), file.path().string(), made(needed),
       map_is_older ? kTokenMapFile : file.path().filename().string());
}

}  // namespace fabula
