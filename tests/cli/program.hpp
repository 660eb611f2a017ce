#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace fabula::cli_test {

using Args = std::vector<std::string>;

struct Result {
  int status = -1;  ///< exit status; 128 + signal when a signal ended it
  bool timed_out = false;
  std::string out, err;

  /// Standard output as JSON; a test failure and null when it is none.
  nlohmann::json json() const;
};

struct RunOptions {
  std::map<std::string, std::string> environment;  ///< set beside the test's own
  std::uint64_t file_size_limit = 0;               ///< RLIMIT_FSIZE in bytes: a full disk; 0: none
  /// Called with all of standard error whenever more of it has come; a signal's number sends that signal (once).
  std::function<int(const std::string& err)> signal_when;
  /// Which process that is; unset: the program.
  std::function<int(int program)> signal_target;
  Args launcher;  ///< what starts the program: mpirun and its flags; empty: nothing
  int timeout_seconds = 120;
};

/// Runs the fabula program and waits for its end.
Result fabula(const Args& args, const RunOptions& options = {});

/// The same; unless it exits with 0 the test fails and ends there, by an exception.
Result fabula_ok(const Args& args, const RunOptions& options = {});

/// Expects `status`, nothing on standard output, and one message on standard error that contains all `parts`.
void expect_refusal(const Result& result, int status, const std::vector<std::string>& parts);

Args operator+(Args left, const Args& right);

}  // namespace fabula::cli_test
