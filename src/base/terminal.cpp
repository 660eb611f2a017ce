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

/// Columns of the terminal on stderr; 80 when it is none or will not say.
int terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kDefaultWidth;
}

}  // namespace

void print_result(std::string_view text) {
  std::string shown;
  if (::isatty(STDOUT_FILENO) == 1) text = shown = printable(text);
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return;
  fail(ErrorCode::kIo, "standard output cannot be written: {}", std::generic_category().message(errno));
}

LogSink stderr_sink() {
  const bool redraws = ::isatty(STDERR_FILENO) == 1;
  return {.write =
              [redraws, open = false](LogLevel level, std::string_view message) mutable {
                // One fwrite a message. Messages quote files and names of others.
                std::string text = open ? "\r\033[K" : "";
                const bool in_place = redraws && level == LogLevel::kProgress;
                if (open && !in_place) text = "\n";
                if (level == LogLevel::kProgress && message.empty())
                  text = open ? "\n" : "";
                else if (in_place)
                  text += cut(printable(message), terminal_width() - 1);
                else
                  text += (level == LogLevel::kWarning ? "warning: " : "") + printable(message) + '\n';
                open = in_place && !message.empty();
                std::fwrite(text.data(), 1, text.size(), stderr);
                std::fflush(stderr);
              },
          .redraws = redraws};
}

}  // namespace fabula
