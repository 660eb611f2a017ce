#pragma once
#include <fmt/format.h>

#include <string_view>

namespace fabula {

/// Results, to standard output: as they are, but as printable() shows them where that is a terminal. A character of
/// UTF-8 comes in one piece. Error kIo.
void print_result(std::string_view text);

template <class... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  print_result(fmt::format(format, std::forward<Args>(args)...));
}

bool stderr_is_terminal();
/// Columns of the terminal on stderr; 80 when it is none or will not say.
int terminal_width();

/// One line on stderr that a terminal redraws in place; elsewhere each text is a line of its own.
class ProgressLine {
 public:
  ProgressLine();
  /// Ends an open line, so that what is printed next starts on a fresh one.
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Shows the text as printable() does, cut to the terminal's width.
  void show(std::string_view text);
  /// Ends the open line: call it before other output. The next show() starts a new one.
  void end();
  bool redraws() const { return redraws_; }

 private:
  bool redraws_ = false;
  bool open_ = false;
};

}  // namespace fabula
