#include "base/log.hpp"

#include <mutex>
#include <utility>

namespace fabula {
namespace {

std::mutex& sink_mutex() {
  static std::mutex& mutex = *new std::mutex;  // threads of a library may log while the program ends
  return mutex;
}

LogSink& current_sink() {
  static LogSink& sink = *new LogSink;
  return sink;
}

void write(LogLevel level, std::string_view message) {
  const std::lock_guard lock(sink_mutex());
  if (current_sink().write) current_sink().write(level, message);
}

}  // namespace

LogSink set_log_sink(LogSink sink) {
  const std::lock_guard lock(sink_mutex());
  return std::exchange(current_sink(), std::move(sink));
}

void log_info(std::string_view message) {
  write(LogLevel::kInfo, message);
}
void log_warn(std::string_view message) {
  write(LogLevel::kWarning, message);
}
void log_progress(std::string_view message) {
  write(LogLevel::kProgress, message);
}

bool progress_redraws() {
  const std::lock_guard lock(sink_mutex());
  return current_sink().redraws;
}

}  // namespace fabula
