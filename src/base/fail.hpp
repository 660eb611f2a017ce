#pragma once
#include <fmt/format.h>

#include "fabula/error.hpp"

namespace fabula {

/// Throws Error with a formatted message.
template <class... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

/// Throws kInternal unless the condition holds: for what only a bug in fabula can break.
template <class... Args>
void ensure(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(ErrorCode::kInternal, format, std::forward<Args>(args)...);
}

}  // namespace fabula
