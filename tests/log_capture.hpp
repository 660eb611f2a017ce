#pragma once
#include <string>

#include "base/log.hpp"

namespace fabula::test {

/// What is said while it lives, a line each, as on stderr.
class LogCapture {
 public:
  LogCapture()
      : before_(set_log_sink({.write = [this](LogLevel level, std::string_view message) {
          text_ += level == LogLevel::kWarning ? "warning: " : "";
          text_ += message;
          text_ += '\n';
        }})) {}
  ~LogCapture() { set_log_sink(before_); }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  const std::string& text() const { return text_; }

 private:
  std::string text_;
  LogSink before_;
};

}  // namespace fabula::test
