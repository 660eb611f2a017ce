#include "base/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace fabula {
namespace {

/// Threads that are waited for on every way out. Not std::jthread: the libc++ of Android's and Apple's compilers may
/// have none.
class JoinedThreads {
 public:
  JoinedThreads() = default;
  ~JoinedThreads() {
    for (std::thread& thread : threads_) thread.join();
  }
  JoinedThreads(const JoinedThreads&) = delete;
  JoinedThreads& operator=(const JoinedThreads&) = delete;

  template <class... Arguments>
  void start(Arguments&&... arguments) {
    threads_.emplace_back(std::forward<Arguments>(arguments)...);
  }

 private:
  std::vector<std::thread> threads_;
};

}  // namespace

size_t thread_count_or_default(size_t threads) {
  return threads > 0 ? threads : std::max<size_t>(1, std::thread::hardware_concurrency());
}

void parallel_for(size_t threads, size_t items, const std::function<void(size_t, size_t)>& work) {
  const size_t workers = std::min(thread_count_or_default(threads), std::max<size_t>(items, 1));
  std::atomic<size_t> next{0};
  std::exception_ptr first_error;
  std::mutex error_mutex;
  const auto run = [&](size_t worker) {
    try {
      for (size_t item = next.fetch_add(1); item < items; item = next.fetch_add(1)) work(worker, item);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(error_mutex);
      if (!first_error) first_error = std::current_exception();
      next.store(items);
    }
  };
  {
    JoinedThreads others;
    for (size_t worker = 1; worker < workers; ++worker) others.start(run, worker);
    run(0);
  }
  if (first_error) std::rethrow_exception(first_error);
}

}  // namespace fabula
