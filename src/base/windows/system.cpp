#include "base/windows/system.hpp"

#include <fmt/format.h>

namespace fabula {
namespace {

class WindowsErrors : public std::error_category {
 public:
  const char* name() const noexcept override { return "windows"; }

  std::string message(int code) const override {
    wchar_t text[512];
    const DWORD size =
        ::FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_MAX_WIDTH_MASK,
                         nullptr, static_cast<DWORD>(code), 0, text, static_cast<DWORD>(std::size(text)), nullptr);
    std::wstring_view words(text, size);
    while (!words.empty() && (words.back() == L' ' || words.back() == L'.')) words.remove_suffix(1);
    return words.empty() ? fmt::format("error {} of Windows", code) : to_utf8(words);
  }

  std::error_condition default_error_condition(int code) const noexcept override {
    switch (static_cast<DWORD>(code)) {
      case ERROR_FILE_NOT_FOUND:
      case ERROR_PATH_NOT_FOUND:
        return std::errc::no_such_file_or_directory;
      case ERROR_ACCESS_DENIED:
      case ERROR_SHARING_VIOLATION:
      case ERROR_USER_MAPPED_FILE:
        return std::errc::permission_denied;
      case ERROR_DISK_FULL:
      case ERROR_HANDLE_DISK_FULL:
        return std::errc::no_space_on_device;
      default:
        return {code, *this};
    }
  }
};

}  // namespace

std::string to_utf8(std::wstring_view text) {
  const int units = static_cast<int>(text.size());
  const int size = ::WideCharToMultiByte(CP_UTF8, 0, text.data(), units, nullptr, 0, nullptr, nullptr);
  std::string result(static_cast<std::size_t>(size), '\0');
  ::WideCharToMultiByte(CP_UTF8, 0, text.data(), units, result.data(), size, nullptr, nullptr);
  return result;
}

std::wstring to_wide(std::string_view text) {
  const int bytes = static_cast<int>(text.size());
  const int size = ::MultiByteToWideChar(CP_UTF8, 0, text.data(), bytes, nullptr, 0);
  std::wstring result(static_cast<std::size_t>(size), L'\0');
  ::MultiByteToWideChar(CP_UTF8, 0, text.data(), bytes, result.data(), size);
  return result;
}

std::error_code windows_error(DWORD code) {
  static const WindowsErrors errors;
  return {static_cast<int>(code), errors};
}

std::error_code last_error() {
  return windows_error(::GetLastError());
}

}  // namespace fabula
