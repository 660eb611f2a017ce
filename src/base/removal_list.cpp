#include "base/removal_list.hpp"

#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstring>

namespace fabula {
namespace {

enum class State : int { kFree, kFilling, kListed };

struct Slot {
  std::atomic<State> state{State::kFree};
  char path[PATH_MAX] = {};
};
constexpr int kSlots = 64;
Slot slots[kSlots];
std::atomic<bool> removing{false};
static_assert(std::atomic<State>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

// A slot is neither filled nor reused while the handler reads it, so that it never sees a torn path. A list that is
// being removed ends with the process.
void wait_if_removing() {
  while (removing.load()) ::pause();
}

}  // namespace

RemovedOnSignal::RemovedOnSignal(const std::filesystem::path& path) {
  if (path.native().size() >= PATH_MAX) return;
  for (int i = 0; i < kSlots && slot_ < 0; ++i) {
    State expected = State::kFree;
    if (slots[i].state.compare_exchange_strong(expected, State::kFilling)) slot_ = i;
  }
  if (slot_ < 0) return;
  wait_if_removing();
  std::memcpy(slots[slot_].path, path.c_str(), path.native().size() + 1);
  slots[slot_].state = State::kListed;
  wait_if_removing();  // the handler may have passed by already
}

RemovedOnSignal::~RemovedOnSignal() {
  if (slot_ < 0) return;
  wait_if_removing();
  slots[slot_].state = State::kFree;
  wait_if_removing();
}

void remove_listed_paths() noexcept {
  removing = true;
  for (const Slot& slot : slots)
    if (slot.state.load() == State::kListed) ::unlink(slot.path);
  for (const Slot& slot : slots)  // once the files in them are gone
    if (slot.state.load() == State::kListed) ::rmdir(slot.path);
}

}  // namespace fabula
