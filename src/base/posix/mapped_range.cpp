#include "base/posix/mapped_range.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

namespace fabula {

// Lives for ever and is used again: a handler on another thread may be reading it.
struct MappedRange {
  std::atomic<std::uintptr_t> begin{0}, end{0};  // begin 0: guards nothing
  std::atomic<bool> cut{false}, taken{false};
  MappedRange* next = nullptr;
};

namespace {

std::atomic<MappedRange*> ranges{nullptr};
struct sigaction former_action {};
std::uintptr_t page_size = 0;
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<MappedRange*>::is_always_lock_free);

// The range that holds an address. begin is read twice: a range that is given to another mapping in between is none
// that the address lies in.
MappedRange* range_of(std::uintptr_t address) {
  for (MappedRange* range = ranges.load(); range != nullptr; range = range->next) {
    const std::uintptr_t begin = range->begin.load();
    const std::uintptr_t end = range->end.load();
    if (begin != 0 && address >= begin && address < end && range->begin.load() == begin) return range;
  }
  return nullptr;
}

// Zeros from the page of the address to the end: all of it lies beyond the file's end.
bool put_zeros(MappedRange& range, std::uintptr_t address) {
  const std::uintptr_t page = address / page_size * page_size;
  void* const mapped = ::mmap(reinterpret_cast<void*>(page), range.end.load() - page, PROT_READ,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  range.cut = true;
  return mapped != MAP_FAILED;
}

void call_former(int signal, siginfo_t* info, void* context) {
  if ((former_action.sa_flags & SA_SIGINFO) != 0) {
    former_action.sa_sigaction(signal, info, context);
  } else if (former_action.sa_handler != SIG_DFL && former_action.sa_handler != SIG_IGN) {
    former_action.sa_handler(signal);
  } else if (former_action.sa_handler == SIG_DFL || info->si_code > 0) {  // a fault cannot be ignored
    std::signal(signal, SIG_DFL);
    if (info->si_code <= 0) std::raise(signal);  // sent by a process; a fault comes again by itself
  }
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  MappedRange* const range = info->si_code == BUS_ADRERR ? range_of(address) : nullptr;
  if (range == nullptr || !put_zeros(*range, address)) call_former(signal, info, context);
  errno = saved;
}

bool install_handler() {
  page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  return sigaction(SIGBUS, &action, &former_action) == 0;
}

MappedRange* free_range() {
  for (MappedRange* range = ranges.load(); range != nullptr; range = range->next)
    if (!range->taken.exchange(true)) return range;
  auto* const range = new MappedRange;
  range->taken = true;
  range->next = ranges.load();
  while (!ranges.compare_exchange_weak(range->next, range)) {
  }
  return range;
}

}  // namespace

MappedRange* guard_range(const std::byte* data, std::size_t size) {
  [[maybe_unused]] static const bool installed = install_handler();
  MappedRange* const range = free_range();
  range->cut = false;
  range->end = reinterpret_cast<std::uintptr_t>(data) + size;
  range->begin = reinterpret_cast<std::uintptr_t>(data);
  return range;
}

void end_guard(MappedRange* range) noexcept {
  range->begin = 0;
  range->end = 0;
  range->taken = false;
}

bool was_cut(const MappedRange* range) noexcept {
  return range->cut;
}

}  // namespace fabula
