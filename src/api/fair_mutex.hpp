#pragma once
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace fabula::api {

/// Whoever waits is served in the order of coming: one who locks it again and again keeps nobody out.
class FairMutex {
 public:
  void lock() {
    std::unique_lock lock(mutex_);
    const std::uint64_t own = next_++;
    changed_.wait(lock, [&] { return own == served_; });
  }
  void unlock() {
    const std::lock_guard lock(mutex_);
    ++served_;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t next_ = 0, served_ = 0;
};

}  // namespace fabula::api
