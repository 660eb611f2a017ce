#include "base/terminal.hpp"

#include <cerrno>
#include <string>
#include <system_error>

#include "base/console.hpp"
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
  const int width = console_width(Stream::kError);
  return width > 0 ? width : kDefaultWidth;
}

}  // namespace

void print_result(std::string_view text) {
  std::string shown;
  if (is_console(Stream::kOut)) text = shown = printable(text);
  if (write_stream(Stream::kOut, text)) return;
  fail(ErrorCode::kIo, "standard output cannot be written: {}", std::generic_category().message(errno));
}

LogSink stderr_sink() {
  const bool redraws = is_console(Stream::kError);
  return {.write =
              [redraws, open = false](LogLevel level, std::string_view message) mutable {
                // One write a message. Messages quote files and names of others.
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
                write_stream(Stream::kError, text);
              },
          .redraws = redraws};
}

}  // namespace fabula
