#pragma once
#include <fmt/format.h>

#include <string_view>

namespace fabula {

/// One line to stderr, as printable() shows it; results belong on stdout.
void log_info(std::string_view message);
/// The same after "warning: ".
void log_warn(std::string_view message);

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  log_info(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  log_warn(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace fabula
