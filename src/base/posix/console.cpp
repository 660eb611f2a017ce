#include "base/console.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

namespace fabula {
namespace {

int descriptor_of(Stream stream) {
  return stream == Stream::kOut ? STDOUT_FILENO : STDERR_FILENO;
}

}  // namespace

bool is_console(Stream stream) {
  return ::isatty(descriptor_of(stream)) == 1;
}

int console_width(Stream stream) {
  winsize size{};
  return ::ioctl(descriptor_of(stream), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

bool write_stream(Stream stream, std::string_view text) {
  std::FILE* const file = stream == Stream::kOut ? stdout : stderr;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return written && (stream == Stream::kOut || std::fflush(file) == 0);
}

}  // namespace fabula
