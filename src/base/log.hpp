#pragma once
#include <fmt/format.h>

#include <functional>
#include <string_view>

// What the libraries have to say. They do not print: a program sets a sink (base/terminal.hpp has the one for stderr),
// and without one nothing is said. Results belong on stdout and are a program's own.
namespace fabula {

enum class LogLevel {
  kInfo,
  kWarning,
  kProgress,  ///< replaces the last line of progress where the sink redraws; an empty text ends it
};

struct LogSink {
  /// Called with one message at a time, from any thread. Must not log itself.
  std::function<void(LogLevel level, std::string_view message)> write = {};
  bool redraws = false;  ///< lines of progress replace each other, so that there may be many
};

/// Returns the one that was set before.
LogSink set_log_sink(LogSink sink);

void log_info(std::string_view message);
void log_warn(std::string_view message);
void log_progress(std::string_view message);
/// LogSink::redraws of the sink that is set.
bool progress_redraws();

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  log_info(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  log_warn(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace fabula
