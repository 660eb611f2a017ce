#pragma once
#include <filesystem>

namespace fabula {

/// While it lives, a signal that ends the program first removes the path (signals.hpp): a temporary file, or a folder
/// that is empty by then. A list of fixed size in static storage, because a signal handler may neither lock nor
/// allocate; what finds no place in it stays behind as it would after a SIGKILL.
class RemovedOnSignal {
 public:
  explicit RemovedOnSignal(const std::filesystem::path& path);
  ~RemovedOnSignal();
  RemovedOnSignal(const RemovedOnSignal&) = delete;
  RemovedOnSignal& operator=(const RemovedOnSignal&) = delete;

 private:
  int slot_ = -1;
};

/// Removes the listed paths; for signal handlers just before the process ends: threads that add to the list or take
/// from it from then on wait for that end.
void remove_listed_paths() noexcept;

}  // namespace fabula
