#include "base/temporary_folder.hpp"

#include <system_error>

#include "base/file_io.hpp"

namespace fabula {

TemporaryFolder::TemporaryFolder() : path_(make_private_folder(std::filesystem::temp_directory_path(), "fabula")) {
  removed_on_signal_.emplace(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace fabula
