#pragma once
#include <filesystem>
#include <optional>

#include "base/removal_list.hpp"

namespace fabula {

/// A fresh folder under the system's temporary folder, removed with everything in it when this ends. A signal that ends
/// the program removes it if nothing but AtomicFiles under way is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();  ///< error kIo
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::optional<RemovedOnSignal> removed_on_signal_;
};

}  // namespace fabula
