#include "base/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

#include "base/fail.hpp"
#include "base/printable.hpp"

namespace fabula {
namespace {

constexpr int kDefaultWidth = 80;

// The first `columns` code points of UTF-8 text, one column each.
std::string_view cut(std::string_view text, int columns) {
  int used = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool starts_character = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (starts_character && used++ == columns) return text.substr(0, i);
  }
  return text;
}

}  // namespace

void print_result(std::string_view text) {
  std::string shown;
  if (::isatty(STDOUT_FILENO) == 1) text = shown = printable(text);
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return;
  fail(ErrorCode::kIo, "standard output cannot be written: {}", std::generic_category().message(errno));
}

bool stderr_is_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}

int terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kDefaultWidth;
}

ProgressLine::ProgressLine() : redraws_(stderr_is_terminal()) {}
ProgressLine::~ProgressLine() {
  end();
}

void ProgressLine::show(std::string_view text) {
  std::string line;
  if (redraws_) {
    line = "\r\033[K";
    line += cut(printable(text), terminal_width() - 1);
  } else {
    line = printable(text);
    line += '\n';
  }
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
  open_ = redraws_;
}

void ProgressLine::end() {
  if (open_) std::fputc('\n', stderr);
  open_ = false;
}

}  // namespace fabula
