#include "cli/program.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <regex>
#include <stdexcept>

namespace fabula::cli_test {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  Pipe() {
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) ADD_FAILURE() << "no pipe";
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  void close_end(std::size_t end) {
    if (ends[end] >= 0) ::close(ends[end]);
    ends[end] = -1;
  }
  std::array<int, 2> ends{-1, -1};
};

[[noreturn]] void become_fabula(std::vector<char*> argv, const RunOptions& options, const Pipe& out, const Pipe& err) {
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(out.ends[1], STDOUT_FILENO);
  ::dup2(err.ends[1], STDERR_FILENO);
  for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
  if (options.file_size_limit > 0) {
    const rlimit limit{options.file_size_limit, options.file_size_limit};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ::execvp(argv.front(), argv.data());
  ::_exit(127);
}

// Reads what has come; false at the end of the stream.
bool take(Pipe& pipe, std::string& text) {
  std::array<char, 65536> buffer{};
  const ssize_t count = ::read(pipe.ends[0], buffer.data(), buffer.size());
  if (count > 0)
    text.append(buffer.data(), static_cast<std::size_t>(count));
  else
    pipe.close_end(0);
  return count > 0;
}

void collect(pid_t child, const RunOptions& options, Pipe& out, Pipe& err, Result& result) {
  const auto deadline = Clock::now() + std::chrono::seconds(options.timeout_seconds);
  bool signalled = false;
  while (out.ends[0] >= 0 || err.ends[0] >= 0) {
    std::array<pollfd, 2> waits{pollfd{out.ends[0], POLLIN, 0}, pollfd{err.ends[0], POLLIN, 0}};
    ::poll(waits.data(), waits.size(), 1000);
    if (waits[0].revents != 0) take(out, result.out);
    if (waits[1].revents != 0 && take(err, result.err) && options.signal_when && !signalled) {
      const int signal = options.signal_when(result.err);
      signalled = signal != 0;
      if (signalled) ::kill(options.signal_target ? options.signal_target(child) : child, signal);
    }
    if (Clock::now() > deadline && !result.timed_out) {
      result.timed_out = true;
      ::kill(child, SIGKILL);
    }
  }
}

}  // namespace

Result fabula(const Args& args, const RunOptions& options) {
  std::vector<std::string> words = options.launcher;
  words.push_back(FABULA_PROGRAM);
  words.insert(words.end(), args.begin(), args.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  Pipe out, err;
  Result result;
  const pid_t child = ::fork();
  if (child == 0) become_fabula(std::move(argv), options, out, err);
  if (child < 0) {
    ADD_FAILURE() << "no process";
    return result;
  }
  out.close_end(1);
  err.close_end(1);
  collect(child, options, out, err, result);
  int status = 0;
  ::waitpid(child, &status, 0);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  EXPECT_FALSE(result.timed_out) << "fabula " << (args.empty() ? "" : args.front()) << " did not end\n" << result.err;
  return result;
}

Result fabula_ok(const Args& args, const RunOptions& options) {
  Result result = fabula(args, options);
  if (result.status == 0) return result;
  ADD_FAILURE() << "fabula " << (args.empty() ? "" : args.front()) << " exits with " << result.status << "\n"
                << result.err << result.out;
  throw std::runtime_error("the test stops here: what follows would look at what the program has not written");
}

nlohmann::json Result::json() const {
  auto parsed = nlohmann::json::parse(out, nullptr, false);
  if (!parsed.is_discarded()) return parsed;
  ADD_FAILURE() << "standard output is not JSON: " << out << "\n" << err;
  return nullptr;
}

void expect_refusal(const Result& result, int status, const std::vector<std::string>& parts) {
  EXPECT_EQ(result.status, status) << result.err;
  EXPECT_EQ(result.out, "");
  for (const std::string& part : parts)
    EXPECT_NE(result.err.find(part), std::string::npos) << "\"" << part << "\" is not in: " << result.err;
  EXPECT_EQ(result.err.find("this is a bug"), std::string::npos) << result.err;
  const std::regex message("^fabula[a-z ]*: ", std::regex::multiline);
  const auto messages =
      std::distance(std::sregex_iterator(result.err.begin(), result.err.end(), message), std::sregex_iterator());
  EXPECT_EQ(messages, 1) << "one message, please: " << result.err;
}

Args operator+(Args left, const Args& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

}  // namespace fabula::cli_test
