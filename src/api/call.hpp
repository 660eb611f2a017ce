#pragma once
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "base/fail.hpp"
#include "fabula/fabula.h"

// The border that no exception crosses: what is thrown behind it becomes a status, and its words the thread's message.
namespace fabula::api {

/// What went wrong, where no ErrorCode says it.
class StatusError : public std::runtime_error {
 public:
  StatusError(fabula_status status, const std::string& message) : std::runtime_error(message), status_(status) {}
  fabula_status status() const { return status_; }

 private:
  fabula_status status_;
};

template <class... Args>
[[noreturn]] void refuse(fabula_status status, fmt::format_string<Args...> format, Args&&... args) {
  throw StatusError(status, fmt::format(format, std::forward<Args>(args)...));
}

/// The status of the exception that is being handled; its words are the thread's last message from now on.
fabula_status failure() noexcept;

template <class Body>
fabula_status call(Body&& body) noexcept {
  try {
    body();
    return FABULA_OK;
  } catch (...) {
    return failure();
  }
}

/// Calls a callback of the caller's. Throws StatusError with FABULA_CALLBACK_FAILED where an exception leaves it.
template <class Callback>
int tell(Callback&& callback) {
  try {
    return callback();
  } catch (const std::exception& error) {
    refuse(FABULA_CALLBACK_FAILED, "an exception left the callback: {}", error.what());
  } catch (...) {
    refuse(FABULA_CALLBACK_FAILED, "an exception left the callback");
  }
}

}  // namespace fabula::api
