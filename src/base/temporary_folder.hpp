#pragma once
#include <filesystem>

namespace fabula {

/// A fresh folder under the system's temporary folder, removed with everything in it when this ends.
class TemporaryFolder {
 public:
  TemporaryFolder();  ///< error kIo
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace fabula
