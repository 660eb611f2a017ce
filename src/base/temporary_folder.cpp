#include "base/temporary_folder.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/fail.hpp"

namespace fabula {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "fabula-XXXXXX").string();
  if (!mkdtemp(name.data()))
    fail(ErrorCode::kIo, "cannot create a temporary folder {}: {}", name, std::strerror(errno));
  path_ = name;
  removed_on_signal_.emplace(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace fabula
