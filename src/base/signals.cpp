#include "base/signals.hpp"

#include <csignal>

#include "base/fail.hpp"

namespace fabula {
namespace {

// What a handler may touch: lock-free flags of static storage.
volatile std::sig_atomic_t stop_requested = 0;
struct sigaction old_interrupt {};
struct sigaction old_terminate {};
bool installed = false;

void on_signal(int) {
  stop_requested = 1;
}

}  // namespace

StopSignals::StopSignals() {
  ensure(!installed, "StopSignals is already installed");
  stop_requested = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  // SA_RESETHAND: the second signal of a kind finds the default action. SA_RESTART: no read or write is cut short by
  // the first.
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigaction(SIGINT, &action, &old_interrupt);
  sigaction(SIGTERM, &action, &old_terminate);
  installed = true;
}

StopSignals::~StopSignals() {
  sigaction(SIGINT, &old_interrupt, nullptr);
  sigaction(SIGTERM, &old_terminate, nullptr);
  installed = false;
}

bool StopSignals::requested() const {
  return stop_requested != 0;
}

}  // namespace fabula
