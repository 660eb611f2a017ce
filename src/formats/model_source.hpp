#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor_range.hpp"
#include "base/mapped_file.hpp"

namespace fabula {

/// The files that make a model: a name gives bytes, wherever they lie. Whoever reads a model's configuration,
/// tokenizer, map or weights reads them from one of these.
class ModelSource {
 public:
  virtual ~ModelSource() = default;

  /// What messages call it, and one of its files.
  virtual std::string name() const = 0;
  virtual std::filesystem::path path_of(std::string_view file) const = 0;

  virtual bool has(std::string_view file) const = 0;
  /// The source must outlive what it gives. Errors: kNotFound, and those of MappedFile.
  virtual MappedFile open(std::string_view file) const = 0;

  /// The file that the weights are found by: kWeightsFile, else kWeightsIndexFile. Error kNotFound, which says what
  /// there is instead.
  virtual std::string weights() const = 0;
  /// Are there any, in whatever format?
  virtual bool has_weights() const = 0;

  /// A file's content as text. Errors: those of open(), and kFormat for more than `most` bytes.
  std::string read(std::string_view file, std::uint64_t most) const;
};

/// A folder; of a checkpoint that is being put in place, the new files (FolderUpdate).
class FolderSource final : public ModelSource {
 public:
  explicit FolderSource(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::string name() const override { return folder_.string(); }
  std::filesystem::path path_of(std::string_view file) const override;
  bool has(std::string_view file) const override;
  MappedFile open(std::string_view file) const override;
  std::string weights() const override;
  bool has_weights() const override;

 private:
  std::filesystem::path folder_;
};

/// Files that are named one by one: bytes in memory, which must outlive it, and parts of open files.
class ListedSource final : public ModelSource {
 public:
  /// Both throw kInvalidArgument for a name that is empty, leads elsewhere or was added before.
  void add(std::string_view file, std::span<const std::byte> bytes);
  void add(std::string_view file, DescriptorRange range);

  std::string name() const override { return "the model"; }
  std::filesystem::path path_of(std::string_view file) const override { return file; }
  bool has(std::string_view file) const override { return files_.find(file) != files_.end(); }
  MappedFile open(std::string_view file) const override;
  std::string weights() const override;
  bool has_weights() const override;

 private:
  struct Listed {
    std::span<const std::byte> bytes;
    std::unique_ptr<DescriptorRange> range;  ///< null: the bytes
  };
  void add(std::string_view file, Listed listed);

  std::map<std::string, Listed, std::less<>> files_;
};

}  // namespace fabula
