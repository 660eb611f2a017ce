#pragma once
#include <fmt/format.h>

#include <string_view>

#include "base/log.hpp"

namespace fabula {

/// Results, to standard output: as they are, but as printable() shows them where that is a terminal. A character of
/// UTF-8 comes in one piece. Error kIo.
void print_result(std::string_view text);

template <class... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  print_result(fmt::format(format, std::forward<Args>(args)...));
}

/// Messages a line each to stderr, as printable() shows them, warnings after "warning: "; progress too, but on a
/// terminal in one line, cut to its width, that is redrawn in place.
LogSink stderr_sink();

}  // namespace fabula
