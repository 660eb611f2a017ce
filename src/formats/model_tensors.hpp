#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/coded_matrix.hpp"
#include "formats/compression.hpp"
#include "formats/model_source.hpp"
#include "formats/safetensors.hpp"

namespace fabula {

inline constexpr const char* kWeightsFile = "model.safetensors";
/// The step that a run's weights are of, in their file's metadata.
inline constexpr const char* kWeightsStepKey = "step";
inline constexpr const char* kWeightsIndexFile = "model.safetensors.index.json";

/// The file that a model folder's weights are found by: model.safetensors, else model.safetensors.index.json. Error
/// kNotFound, which says what lies there instead (weights in another format, say) and what to do.
std::filesystem::path weights_path(const std::filesystem::path& folder);

/// The name of the file that a folder's weights lie in, in whatever format ("pytorch_model.bin"); empty: it has none.
std::string any_weights_in(const std::filesystem::path& folder);

/// The tensors of a model folder, whether model.safetensors holds them all or model.safetensors.index.json spreads them
/// over several files (shards). The files of a checkpoint that is being put in place are found too (FolderUpdate).
/// Tensors that the folder's config says lie in few bits are the tensors that they stand for: their parts have no names
/// here.
class ModelTensors {
 public:
  /// Opens and checks every file. Errors: those of weights_path and SafetensorsFile; kFormat where index and shards
  /// disagree, a shard is missing or a name leads out of the folder.
  static ModelTensors open(const std::filesystem::path& folder) { return open(FolderSource(folder)); }
  /// The same of files that lie anywhere; the source must outlive them.
  static ModelTensors open(const ModelSource& source);
  /// The tensors of one file.
  explicit ModelTensors(SafetensorsFile file);

  /// In alphabetical order.
  std::vector<std::string> names() const;
  bool contains(std::string_view name) const { return file_of_.find(name) != file_of_.end(); }
  /// See SafetensorsFile.
  const TensorInfo& info(std::string_view name) const;
  void read_f32(std::string_view name, std::span<float> out, std::int64_t first = 0) const;
  /// Of a tensor in few bits its codes.
  std::span<const std::byte> raw(std::string_view name) const;

  bool is_coded(std::string_view name) const { return coded_.find(name) != coded_.end(); }
  /// A tensor in few bits as it is stored. Error kFormat for a scale that is not finite.
  CodedMatrix read_coded(std::string_view name) const;

  /// weights_path: what messages about all of them name.
  const std::filesystem::path& path() const { return path_; }
  /// The one file that holds a tensor. Error kNotFound.
  const SafetensorsFile& file_of(std::string_view name) const;

 private:
  ModelTensors() = default;
  void open_shards(const ModelSource& source);
  void add(SafetensorsFile file);
  void add_coded(const Compression& compression, const std::string& source);

  struct Coded {
    CodedTensor tensor;
    TensorInfo info;  ///< of what it stands for, in F32
  };

  std::filesystem::path path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::size_t, std::less<>> file_of_;  ///< by tensor: which of files_
  std::map<std::string, Coded, std::less<>> coded_;
};

/// Throws kFormat where the weights of a run are not of the map of TokenMap::step `map_step` that lies beside them; the
/// message says which of the two is older. Files that training has not written say nothing, and are taken as they are.
void check_map_step(std::int64_t map_step, const ModelTensors& tensors);

}  // namespace fabula
