#include "base/console.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>

#include "base/windows/system.hpp"

namespace fabula {
namespace {

HANDLE handle_of(Stream stream) {
  return ::GetStdHandle(stream == Stream::kOut ? STD_OUTPUT_HANDLE : STD_ERROR_HANDLE);
}

// A console takes UTF-16, whatever its code page, in pieces that are not too long.
bool write_console(HANDLE console, std::string_view text) {
  constexpr std::size_t kPiece = 8192;
  const std::wstring wide = to_wide(text);
  for (std::size_t done = 0; done < wide.size();) {
    std::size_t size = std::min(kPiece, wide.size() - done);
    const bool cuts_pair = size > 1 && (wide[done + size - 1] & 0xFC00) == 0xD800;
    if (cuts_pair) --size;
    DWORD written = 0;
    if (!::WriteConsoleW(console, wide.data() + done, static_cast<DWORD>(size), &written, nullptr) || written == 0) {
      errno = EIO;
      return false;
    }
    done += written;
  }
  return true;
}

}  // namespace

bool is_console(Stream stream) {
  DWORD mode = 0;
  return ::GetConsoleMode(handle_of(stream), &mode) != 0;
}

int console_width(Stream stream) {
  CONSOLE_SCREEN_BUFFER_INFO info{};
  return ::GetConsoleScreenBufferInfo(handle_of(stream), &info) ? info.srWindow.Right - info.srWindow.Left + 1 : 0;
}

bool write_stream(Stream stream, std::string_view text) {
  std::FILE* const file = stream == Stream::kOut ? stdout : stderr;
  if (is_console(stream)) return std::fflush(file) == 0 && write_console(handle_of(stream), text);
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return written && (stream == Stream::kOut || std::fflush(file) == 0);
}

}  // namespace fabula
