#include "base/file_errors.hpp"

#include "base/fail.hpp"

namespace fabula {

std::string system_reason(int code) {
  return std::generic_category().message(code);
}

void check_done(const std::error_code& code, const std::filesystem::path& path, const char* action) {
  if (code) fail(ErrorCode::kIo, "{}: cannot {}: {}", path.string(), action, code.message());
}

std::filesystem::path parent_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace fabula
