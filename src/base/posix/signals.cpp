#include "base/signals.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>

#include "base/fail.hpp"
#include "base/removal_list.hpp"

namespace fabula {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
constexpr std::size_t kCount = std::size(kSignals);

// What a handler may touch: lock-free flags of static storage.
volatile std::sig_atomic_t stop_requested = 0;
volatile std::sig_atomic_t seen[kCount] = {};
struct sigaction old_actions[kCount];
bool installed = false;

void end_by(int signal) {
  remove_listed_paths();
  std::signal(signal, SIG_DFL);
  std::raise(signal);  // blocked until the handler returns
}

void on_signal(int signal) {
  stop_requested = 1;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (kSignals[i] != signal) continue;
    if (seen[i] != 0) end_by(signal);
    seen[i] = 1;
  }
}

struct sigaction action_of(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // no read or write is cut short by the first
  return action;
}

bool is_ignored(int signal) {
  struct sigaction now {};
  return sigaction(signal, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_IGN;
}

void open_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free number is this one. Not writable as standard output: results that go nowhere are an error.
    [[maybe_unused]] const int opened = ::open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// As many as the system lets this process have: each mapped file holds a descriptor.
void open_many_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

StopSignals::StopSignals() {
  ensure(!installed, "StopSignals is already installed");
  stop_requested = 0;
  const struct sigaction action = action_of(on_signal);
  for (std::size_t i = 0; i < kCount; ++i) {
    seen[i] = 0;
    const bool keep = kSignals[i] == SIGHUP && is_ignored(SIGHUP);
    sigaction(kSignals[i], keep ? nullptr : &action, &old_actions[i]);
  }
  installed = true;
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < kCount; ++i) sigaction(kSignals[i], &old_actions[i], nullptr);
  installed = false;
}

bool StopSignals::requested() const {
  return stop_requested != 0;
}

void prepare_process() {
  open_standard_descriptors();
  open_many_files();
  std::signal(SIGXFSZ, SIG_IGN);
  const struct sigaction action = action_of(end_by);
  for (const int signal : kSignals)
    if (!is_ignored(signal)) sigaction(signal, &action, nullptr);
}

}  // namespace fabula
