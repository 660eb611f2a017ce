#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/folder_update.hpp"

namespace fabula::convert {

/// A folder that appears whole or not at all. It must not be there yet, or be empty; with `overwrite` it may hold a
/// model, whose files give way to the new ones as one step.
class OutputFolder {
 public:
  /// Error kInvalidArgument for a file of that name, for a folder that holds anything (without `overwrite`), for one
  /// that holds no model and for a run that can be trained on, which nothing overwrites; for one of `inputs`, or the
  /// folder of one; kIo.
  OutputFolder(const std::filesystem::path& path, bool overwrite, const std::vector<std::filesystem::path>& inputs);
  /// Removes what was written without commit().
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  const FolderUpdate& update() const { return *update_; }
  /// Where to write a file of this name.
  std::filesystem::path path_of(std::string_view name) const { return update_->path_of(name); }
  /// Makes what was written the folder's model, and removes files of a former one that were not written. Error kIo.
  void commit();

 private:
  std::filesystem::path path_;
  bool existed_;
  std::optional<FolderUpdate> update_;
};

/// Checks that a single GGUF file may be written. Error kInvalidArgument for a folder, for one of `inputs`, where it is
/// there and `overwrite` is not said, and where it is neither empty nor a GGUF file.
void check_output_file(const std::filesystem::path& path, bool overwrite,
                       const std::vector<std::filesystem::path>& inputs);

/// "exported" of "runs/exported/", and of "." the name that the folder has.
std::string name_of_folder(const std::filesystem::path& folder);

}  // namespace fabula::convert
