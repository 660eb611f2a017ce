#pragma once
#include <filesystem>
#include <string>
#include <system_error>

namespace fabula {

/// The system's words for an errno.
std::string system_reason(int code);

/// Error kIo "PATH: cannot ACTION: REASON" where a call of std::filesystem has failed.
void check_done(const std::error_code& code, const std::filesystem::path& path, const char* action);

/// The folder that a path lies in; "." for a bare name.
std::filesystem::path parent_of(const std::filesystem::path& path);

}  // namespace fabula
