#pragma once
#include <chrono>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vk/device.hpp"
#include "vk/handle.hpp"

namespace fabula::vk {

/// A run of recorded commands that is never cut.
struct Segment {
  VkCommandBuffer commands = VK_NULL_HANDLE;
  QueryPoolHandle queries;        ///< timed lists only: one at the start and one after each command
  std::uint32_t count = 0;        ///< commands
  std::optional<double> seconds;  ///< how long it took lately; nothing before its first run
};

/// Cuts rows of segments into submissions of bounded time: a watchdog (2 s on Windows and on some Linux drivers) must
/// never see a long one. The time of each segment is learnt from the submissions it was in; segments not yet measured
/// go in small numbers that grow while the measured times stay short. Where the cuts fall never changes what is
/// computed.
class SubmitQueue {
 public:
  /// No wait takes longer than `wait_limit` seconds: then the device counts as lost.
  SubmitQueue(Device::Impl& device, double budget_seconds, double wait_limit);
  ~SubmitQueue();

  /// The ticket of the last submission made: wait() for it, and the lists have run.
  std::uint64_t submit(std::span<CommandList* const> lists);
  void wait();
  /// Waits until a ticket's submission is over; 0 is over from the start.
  void wait(std::uint64_t ticket);
  /// Whether a ticket's submission is over, without waiting.
  bool is_over(std::uint64_t ticket) const;
  /// Waits like wait(), for destructors: errors end the waiting silently. A device that does not answer is abandoned:
  /// see LogicalDevice.
  void settle() noexcept;
  /// Submits one command buffer after everything else and waits for it.
  void run_now(VkCommandBuffer commands, const std::string& label);

  void set_budget(double seconds) { budget_ = seconds; }
  std::uint64_t submissions() const { return submissions_; }  ///< made so far

 private:
  struct InFlight {
    FenceHandle fence;
    std::vector<Segment*> segments;
    std::string label;
    std::chrono::steady_clock::time_point submitted;
    std::vector<double> predicted;  ///< by segment, as this was submitted
    std::uint64_t ticket = 0;
  };

  double predict(const Segment& segment) const;
  void flush(std::vector<Segment*>& batch, const std::string& label);
  void wait_oldest();
  void learn(const InFlight& done, double seconds, bool upper_bound_only);
  FenceHandle take_fence();
  /// Bounded; VK_TIMEOUT when the limit has passed.
  VkResult wait_for(VkFence fence) const;
  /// Of a wait or a submission: from now on nothing goes on.
  void note_failure(VkResult result, const std::string& label);
  void check_alive() const;  ///< throws kDeviceLost after a failure, with what was said of it first

  Device::Impl& device_;
  double budget_, wait_limit_;
  std::uint32_t ramp_ = 1;  ///< how many unmeasured segments are expected to fill the budget
  std::deque<InFlight> in_flight_;
  std::vector<FenceHandle> free_fences_;
  std::chrono::steady_clock::time_point over_after_{}, over_before_{};  ///< when the last one waited for was over
  std::uint64_t submissions_ = 0;
  std::string failure_;  ///< of the device, for good; empty: none
};

}  // namespace fabula::vk
