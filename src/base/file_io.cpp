#include "base/file_io.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/fail.hpp"
#include "base/file_errors.hpp"

// What no system does otherwise; the rest is in posix/file_io.cpp and windows/file_io.cpp.
namespace fabula {

namespace fs = std::filesystem;

void ensure_directory(const fs::path& path) {
  if (path.empty()) fail(ErrorCode::kInvalidArgument, "the name of the folder to write is empty");
  std::error_code code;
  fs::create_directories(path, code);
  if (code || !fs::is_directory(path)) {
    fail(ErrorCode::kIo, "{}: cannot create the folder: {}", path.string(),
         code ? code.message() : std::generic_category().message(ENOTDIR));
  }
}

std::uint64_t free_space(const fs::path& path) {
  std::error_code code;
  fs::path place = fs::absolute(path, code);
  while (!fs::exists(place, code) && place.has_relative_path()) place = place.parent_path();
  const fs::space_info info = fs::space(place, code);
  return code ? 0 : info.available;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

}  // namespace fabula
