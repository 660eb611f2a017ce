#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "fabula/error.hpp"

namespace fabula::test {

/// Expects that `action` throws Error of this code whose message contains every one of `parts`.
inline void expect_error(ErrorCode code, const std::vector<std::string>& parts, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << "\"" << part << "\" is not in: " << error.what();
    }
    return;
  }
  ADD_FAILURE() << "no Error was thrown; expected one with: "
                << (parts.empty() ? std::string("any text") : parts.front());
}

}  // namespace fabula::test
