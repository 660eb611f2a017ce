#include "base/log.hpp"

#include "api/call.hpp"

static_assert(static_cast<int>(fabula::LogLevel::kInfo) == FABULA_LOG_INFO);
static_assert(static_cast<int>(fabula::LogLevel::kWarning) == FABULA_LOG_WARNING);
static_assert(static_cast<int>(fabula::LogLevel::kProgress) == FABULA_LOG_PROGRESS);

fabula_status fabula_set_log(fabula_log_callback callback, void* user) {
  return fabula::api::call([&] {
    fabula::LogSink sink;
    if (callback != nullptr)
      sink.write = [callback, user](fabula::LogLevel level, std::string_view message) {
        try {
          callback(user, static_cast<fabula_log_level>(level), std::string(message).c_str());
        } catch (...) {  // there is nobody to be told: it may be a thread of the library's own
        }
      };
    fabula::set_log_sink(std::move(sink));
  });
}
