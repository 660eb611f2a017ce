#include "base/removal_list.hpp"

#include <algorithm>
#include <atomic>

#include "base/last_steps.hpp"

namespace fabula {
namespace {

enum class State : int { kFree, kFilling, kListed };

constexpr std::size_t kLongestPath = 4096;

struct Slot {
  std::atomic<State> state{State::kFree};
  std::filesystem::path::value_type path[kLongestPath] = {};
};
constexpr int kSlots = 64;
Slot slots[kSlots];
std::atomic<bool> removing{false};
static_assert(std::atomic<State>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

// A slot is neither filled nor reused while the handler reads it, so that it never sees a torn path. A list that is
// being removed ends with the process.
void wait_if_removing() {
  while (removing.load()) wait_for_the_end();
}

}  // namespace

RemovedOnSignal::RemovedOnSignal(const std::filesystem::path& path) {
  if (path.native().size() >= kLongestPath) return;
  for (int i = 0; i < kSlots && slot_ < 0; ++i) {
    State expected = State::kFree;
    if (slots[i].state.compare_exchange_strong(expected, State::kFilling)) slot_ = i;
  }
  if (slot_ < 0) return;
  wait_if_removing();
  std::copy_n(path.c_str(), path.native().size() + 1, slots[slot_].path);
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
    if (slot.state.load() == State::kListed) remove_file_now(slot.path);
  for (const Slot& slot : slots)  // once the files in them are gone
    if (slot.state.load() == State::kListed) remove_folder_now(slot.path);
}

}  // namespace fabula
