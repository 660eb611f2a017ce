#pragma once

namespace fabula {

/// While it lives, the first SIGINT or SIGTERM asks the program to stop (requested() turns true) and the second ends it
/// at once with the signal's default action. For the program alone, one at a time; a signal handler's flag has to be
/// global, so it is hidden here.
class StopSignals {
 public:
  StopSignals();
  /// Puts the former handlers back.
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  bool requested() const;
};

}  // namespace fabula
