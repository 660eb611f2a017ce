#pragma once
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace fabula::vk {

/// Names kernels while a driver compiles them: on a terminal each, so that a crash has a name; in a log those that take
/// long, since some take minutes.
class SlowCompiles {
  using Clock = std::chrono::steady_clock;
  using UnderWay = std::list<std::pair<std::string, Clock::time_point>>;

 public:
  SlowCompiles();
  ~SlowCompiles();

  class One {
   public:
    One(SlowCompiles& of, const std::string& shader);
    ~One();
    One(const One&) = delete;
    One& operator=(const One&) = delete;

   private:
    SlowCompiles& of_;
    UnderWay::iterator entry_;
  };

 private:
  void watch();

  std::mutex mutex_;
  std::condition_variable wake_;
  UnderWay under_way_;  // the longest first
  bool said_ = false, ended_ = false;
  std::thread watcher_;  // last: it ends before what it looks at
};

}  // namespace fabula::vk
