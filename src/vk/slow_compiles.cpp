#include "vk/slow_compiles.hpp"

#include "base/log.hpp"

namespace fabula::vk {
namespace {
constexpr std::chrono::seconds kPatience{5};
}

SlowCompiles::SlowCompiles() : watcher_([this] { watch(); }) {}

SlowCompiles::~SlowCompiles() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_.notify_one();
  watcher_.join();
  if (said_) log_progress({});
}

SlowCompiles::One::One(SlowCompiles& of, const std::string& shader) : of_(of) {
  const std::lock_guard lock(of_.mutex_);
  entry_ = of_.under_way_.insert(of_.under_way_.end(), {shader, Clock::now()});
  if (!progress_redraws()) return;  // a log would have a line a kernel
  log_progress("compiling " + shader);
  of_.said_ = true;
}

SlowCompiles::One::~One() {
  const std::lock_guard lock(of_.mutex_);
  of_.under_way_.erase(entry_);
}

void SlowCompiles::watch() {
  std::unique_lock lock(mutex_);
  std::chrono::seconds patience = kPatience;
  while (!wake_.wait_for(lock, std::chrono::seconds(1), [this] { return ended_; })) {
    if (under_way_.empty()) continue;
    const auto& [shader, since] = under_way_.front();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - since);
    if (seconds < (progress_redraws() ? kPatience : patience)) continue;
    log_progress(fmt::format("the driver has been compiling {} for {} s", shader, seconds.count()));
    said_ = true;
    patience = 2 * seconds;  // a log gets a line now and then
  }
}

}  // namespace fabula::vk
