#pragma once
#include <string>

#include "base/log.hpp"

namespace fabula::study {

/// While it lives, only warnings, and progress where lines of it replace each other, are said, with `name` before them:
/// a study says one line of each run.
class QuietLog {
 public:
  explicit QuietLog(std::string name) : name_(std::move(name)), before_(set_log_sink({})) {
    set_log_sink({.write =
                      [this](LogLevel level, std::string_view message) {
                        if (!before_.write || level == LogLevel::kInfo) return;
                        if (level == LogLevel::kProgress && message.empty())
                          before_.write(level, message);
                        else if (level == LogLevel::kWarning || before_.redraws)
                          before_.write(level, fmt::format("{}: {}", name_, message));
                      },
                  .redraws = before_.redraws});
  }
  ~QuietLog() { set_log_sink(before_); }
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;

 private:
  std::string name_;
  LogSink before_;
};

}  // namespace fabula::study
