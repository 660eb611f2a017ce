#pragma once
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/atomic_file.hpp"
#include "base/file_io.hpp"
#include "base/folder_update.hpp"

namespace fabula::test {

inline const std::vector<std::string> kNames = {"model.safetensors", "optimizer.safetensors", "state.json"};

inline void save(const std::filesystem::path& folder, const std::string& version,
                 const FolderUpdate::StepHook& hook = {}) {
  FolderUpdate update(folder, hook);
  for (const std::string& name : kNames) write_file_atomically(update.path_of(name), name + " " + version);
  update.commit();
}

// The one version that every file has as a reader sees it; "mixed" when they differ.
inline std::string version_seen(const std::filesystem::path& folder) {
  std::set<std::string> versions;
  for (const std::string& name : kNames) {
    const std::string text = read_file(FolderUpdate::current(folder, name));
    versions.insert(text.substr(name.size() + 1));
  }
  return versions.size() == 1 ? *versions.begin() : "mixed";
}

inline std::set<std::string> listing(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

}  // namespace fabula::test
