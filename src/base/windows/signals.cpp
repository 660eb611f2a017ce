#include "base/signals.hpp"

#include <fcntl.h>
#include <io.h>

#include <array>
#include <atomic>
#include <cstdio>

#include "base/fail.hpp"
#include "base/removal_list.hpp"
#include "base/windows/system.hpp"

// Windows tells a console program of Ctrl-C by a thread of its own. The end of the console, of the session or of the
// system cannot be put off for longer than some five seconds: then the program is ended wherever it stands.
namespace fabula {
namespace {

constexpr DWORD kEvents = CTRL_SHUTDOWN_EVENT + 1;
constexpr DWORD kLastWait = 4000;   // ms
constexpr DWORD kPoll = 20;         // ms
constexpr int kMostStreams = 2048;  // of the C library

std::atomic<bool> stop_requested{false}, installed{false};
std::array<std::atomic<bool>, kEvents> seen;

bool ends_the_program(DWORD event) {
  return event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT;
}

BOOL WINAPI on_event(DWORD event) {
  if (event >= kEvents) return FALSE;
  stop_requested = true;
  const bool again = seen[event].exchange(true);
  if (installed && !again) {
    if (!ends_the_program(event)) return TRUE;
    for (DWORD waited = 0; installed && waited < kLastWait; waited += kPoll) ::Sleep(kPoll);
  }
  remove_listed_paths();
  return FALSE;  // the system's own handler is next, and ends the process
}

/// Colours and lines drawn again, as terminals elsewhere have them.
void understand_terminal_sequences(DWORD which) {
  const HANDLE console = ::GetStdHandle(which);
  DWORD mode = 0;
  if (::GetConsoleMode(console, &mode)) ::SetConsoleMode(console, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

}  // namespace

StopSignals::StopSignals() {
  ensure(!installed, "StopSignals is already installed");
  stop_requested = false;
  for (std::atomic<bool>& event : seen) event = false;
  ::SetConsoleCtrlHandler(on_event, TRUE);
  installed = true;
}

StopSignals::~StopSignals() {
  installed = false;
  ::SetConsoleCtrlHandler(on_event, FALSE);
}

bool StopSignals::requested() const {
  return stop_requested;
}

void prepare_process() {
  ::_setmode(::_fileno(stdout), _O_BINARY);  // a line ends with a line feed, here too
  ::_setmode(::_fileno(stderr), _O_BINARY);
  ::_setmaxstdio(kMostStreams);
  understand_terminal_sequences(STD_OUTPUT_HANDLE);
  understand_terminal_sequences(STD_ERROR_HANDLE);
  ::SetConsoleCtrlHandler(on_event, TRUE);
}

}  // namespace fabula
