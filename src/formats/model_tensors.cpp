#include "formats/model_tensors.hpp"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/fail.hpp"
#include "base/file_kind.hpp"
#include "base/half.hpp"
#include "formats/config_io.hpp"
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
  if (source.has(kConfigFile)) {
    const std::string config = source.path_of(kConfigFile).string();
    tensors.add_coded(read_compression(source.read(kConfigFile, kMaxConfigBytes), config), config);
  }
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

/// Puts the tensor in the place of its parts.
void ModelTensors::add_coded(const Compression& compression, const std::string& source) {
  const auto require = [&](const std::string& part, TensorDtype dtype, const std::vector<std::int64_t>& shape) {
    if (!contains(part))
      fail(ErrorCode::kFormat, "{}: has no tensor \"{}\", which {} names; fetch the folder again", path_.string(), part,
           source);
    const TensorInfo& found = file_of(part).info(part);
    if (found.dtype != dtype || found.shape != shape)
      fail(ErrorCode::kFormat, "{}: tensor \"{}\" is {} {}, {} needs {} {}; fetch the folder again", path_.string(),
           part, dtype_name(found.dtype), shape_text(found.shape), source, dtype_name(dtype), shape_text(shape));
  };
  for (const auto& [name, tensor] : compression.tensors) {
    if (contains(name))
      fail(ErrorCode::kFormat,
           "{}: has tensor \"{}\", which lies in few bits as {} says; which of the two counts is "
           "unknown",
           path_.string(), name, source);
    const CodedMatrix sizes{.bits = tensor.bits, .rows = tensor.rows(), .cols = tensor.cols()};
    const std::string codes = name + std::string(kCodesEnd);
    require(codes, TensorDtype::kI32, {sizes.rows, sizes.row_words()});
    std::vector<std::string> parts{codes, name + std::string(kScalesEnd)};
    if (tensor.has_offsets) parts.push_back(name + std::string(kOffsetsEnd));
    for (std::size_t i = 1; i < parts.size(); ++i) require(parts[i], TensorDtype::kF16, {sizes.rows, sizes.groups()});
    Coded coded{.tensor = tensor, .info = {.dtype = TensorDtype::kF32, .shape = tensor.shape}};
    coded.info.elements = sizes.rows * sizes.cols;
    const std::size_t file = file_of_.find(codes)->second;
    for (const std::string& part : parts) {
      if (file_of_.find(part)->second != file)
        fail(ErrorCode::kFormat, "{}: tensor \"{}\" lies apart from its codes; fetch the folder again", path_.string(),
             part);
      file_of_.erase(part);
    }
    file_of_[name] = file;
    coded_.emplace(name, std::move(coded));
  }
}

const TensorInfo& ModelTensors::info(std::string_view name) const {
  const auto coded = coded_.find(name);
  return coded == coded_.end() ? file_of(name).info(name) : coded->second.info;
}

std::span<const std::byte> ModelTensors::raw(std::string_view name) const {
  return file_of(name).raw(is_coded(name) ? std::string(name) + std::string(kCodesEnd) : std::string(name));
}

CodedMatrix ModelTensors::read_coded(std::string_view name) const {
  const auto coded = coded_.find(name);
  ensure(coded != coded_.end(), "tensor \"{}\" does not lie in few bits", name);
  const CodedTensor& tensor = coded->second.tensor;
  const SafetensorsFile& file = file_of(name);
  CodedMatrix matrix{
      .bits = tensor.bits, .has_offsets = tensor.has_offsets, .rows = tensor.rows(), .cols = tensor.cols()};
  unpack_codes(raw(name), matrix);
  const auto read = [&](std::string_view end) {
    const std::string part = std::string(name) + std::string(end);
    const std::span<const std::byte> bytes = file.raw(part);
    std::vector<std::uint16_t> halves(bytes.size() / 2);
    std::memcpy(halves.data(), bytes.data(), bytes.size());
    for (std::size_t i = 0; i < halves.size(); ++i)
      if (!std::isfinite(half_to_float(halves[i])))
        fail(ErrorCode::kFormat, "{}: tensor \"{}\", number {}, is not finite; the file is damaged", path_.string(),
             part, i);
    return halves;
  };
  matrix.scales = read(kScalesEnd);
  if (tensor.has_offsets) matrix.offsets = read(kOffsetsEnd);
  return matrix;
}

void ModelTensors::read_f32(std::string_view name, std::span<float> out, std::int64_t first) const {
  if (!is_coded(name)) return file_of(name).read_f32(name, out, first);
  const Coded& coded = coded_.find(name)->second;
  const auto count = static_cast<std::int64_t>(out.size());
  if (first < 0 || count > coded.info.elements || first > coded.info.elements - count)
    fail(ErrorCode::kInvalidArgument, "{}: tensor \"{}\" has {} numbers, {} from {} on are asked for", path_.string(),
         name, coded.info.elements, count, first);
  const std::vector<float> numbers = numbers_of(read_coded(name));
  const std::int64_t width = coded.tensor.shape[1], cols = coded.tensor.cols();
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row = (first + i) / width, col = (first + i) % width;
    out[static_cast<std::size_t>(i)] =
        numbers[static_cast<std::size_t>(coded.tensor.transposed ? col * cols + row : first + i)];
  }
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
