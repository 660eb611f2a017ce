#pragma once
#include <gtest/gtest.h>

#include <string>

#include "fabula/fabula.hpp"
#include "small_model.hpp"

// What the tests of the C interface have in common.
namespace fabula::test {

/// The tests' device, which is opened once.
inline const Device& device() {
  static const Device& opened = [&]() -> const Device& {
    DeviceOptions options;
    options.cache_dir = "none";
    options.self_test = false;
    return *new Device(options);  // what a static destructor closes may need a driver that is gone
  }();
  return opened;
}

inline const Model& model() {
  static const Model opened(grouped_model().string());
  return opened;
}

inline Session session(std::int64_t slots = 1, bool score = false, bool levels = false) {
  SessionOptions options;
  options.slots = slots;
  options.score = score;
  options.levels = levels;
  return {device(), model(), options};
}

/// Texts that do not end before they have all their tokens.
inline TextOptions text_options(std::int64_t tokens, double temperature = 0, std::uint64_t seed = 0) {
  TextOptions options;
  options.max_tokens = tokens;
  options.temperature = temperature;
  options.seed = seed;
  options.biases = {{kEndToken, -1e30F}};
  return options;
}

/// One that goes on until somebody ends it.
inline TextOptions endless() {
  TextOptions options = text_options(1000000000, 1);
  options.slide = true;
  return options;
}

/// What was returned, and a part of the message.
inline void expect_failed(fabula_status status, fabula_status expected, const std::string& part) {
  EXPECT_STREQ(fabula_status_name(status), fabula_status_name(expected)) << fabula_last_message();
  EXPECT_NE(std::string(fabula_last_message()).find(part), std::string::npos) << fabula_last_message();
}

/// The same of what throws.
template <class Body>
void expect_thrown(Body&& body, fabula_status expected, const std::string& part) {
  try {
    body();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const ApiError& error) {
    EXPECT_STREQ(fabula_status_name(error.status()), fabula_status_name(expected)) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

}  // namespace fabula::test
