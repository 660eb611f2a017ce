#include "vk/submit.hpp"

#include <algorithm>
#include <numeric>

#include "base/fail.hpp"
#include "vk/command_list_impl.hpp"
#include "vk/device_impl.hpp"
#include "vk/result.hpp"

namespace fabula::vk {
namespace {

constexpr std::size_t kMaxInFlight = 2;  // one runs while the next is ready
constexpr std::uint32_t kMaxRamp = 1024;

double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

SubmitQueue::SubmitQueue(Device::Impl& device, double budget_seconds, double wait_limit)
    : device_(device), budget_(budget_seconds), wait_limit_(wait_limit) {}

SubmitQueue::~SubmitQueue() {
  settle();
}

double SubmitQueue::predict(const Segment& segment) const {
  return segment.seconds.value_or(budget_ / ramp_);
}

std::uint64_t SubmitQueue::submit(std::span<CommandList* const> lists) {
  std::vector<Segment*> batch;
  std::string labels;
  double predicted = 0;
  for (CommandList* list : lists) {
    CommandList::Impl& impl = *list->impl();
    ensure(impl.ended, "command list \"{}\" is run before end()", impl.options.label);
    for (Segment& segment : impl.segments) {
      if (!batch.empty() && predicted + predict(segment) > budget_) {
        flush(batch, labels);
        labels.clear();
        predicted = 0;
      }
      batch.push_back(&segment);
      predicted += predict(segment);
      if (labels.find(impl.options.label) == std::string::npos)
        labels += (labels.empty() ? "" : ", ") + impl.options.label;
    }
  }
  if (!batch.empty()) flush(batch, labels);
  return submissions_;
}

FenceHandle SubmitQueue::take_fence() {
  if (!free_fences_.empty()) {
    FenceHandle fence = std::move(free_fences_.back());
    free_fences_.pop_back();
    const VkFence handle = fence.get();
    check(device_.table.vkResetFences(device_.logical.device, 1, &handle), "resetting a fence");
    return fence;
  }
  const VkFenceCreateInfo info{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  VkFence fence = VK_NULL_HANDLE;
  check(device_.table.vkCreateFence(device_.logical.device, &info, nullptr, &fence), "creating a fence");
  return {device_.ref(), fence};
}

void SubmitQueue::note_failure(VkResult result, const std::string& label) {
  const std::string what = fmt::format("\"{}\" on {}", label, device_.profile().name);
  if (result == VK_ERROR_DEVICE_LOST) {
    failure_ = fmt::format(
        "the device stopped answering during {} (VK_ERROR_DEVICE_LOST): its watchdog may have killed a long "
        "submission, or "
        "the driver has a fault",
        what);
    return;
  }
  device_.logical.abandoned = true;
  failure_ = result == VK_TIMEOUT
                 ? fmt::format(
                       "{} was not over after {:.3g} s: the device or its driver hangs, and this "
                       "process can do no more with it",
                       what, wait_limit_)
                 : fmt::format("{} cannot be waited for: the driver answered {}", what, result_name(result));
}

void SubmitQueue::check_alive() const {
  if (!failure_.empty()) fail(ErrorCode::kDeviceLost, "{}", failure_);
}

VkResult SubmitQueue::wait_for(VkFence fence) const {
  // In slices, because a driver may take a long limit for none, or return early.
  constexpr double kSlice = 1;
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    const double left = wait_limit_ - seconds_between(start, std::chrono::steady_clock::now());
    if (left <= 0) return VK_TIMEOUT;
    const auto slice = static_cast<std::uint64_t>(1e9 * std::min(left, kSlice));
    const VkResult result = device_.table.vkWaitForFences(device_.logical.device, 1, &fence, VK_TRUE, slice);
    if (result != VK_TIMEOUT) return result;
  }
}

void SubmitQueue::flush(std::vector<Segment*>& batch, const std::string& label) {
  check_alive();
  while (in_flight_.size() >= kMaxInFlight) wait_oldest();
  std::vector<VkCommandBuffer> commands;
  InFlight made;
  for (const Segment* segment : batch) {
    commands.push_back(segment->commands);
    made.predicted.push_back(predict(*segment));
  }
  made.fence = take_fence();
  made.label = label;
  VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO};
  info.commandBufferCount = static_cast<std::uint32_t>(commands.size());
  info.pCommandBuffers = commands.data();
  made.submitted = std::chrono::steady_clock::now();
  const VkResult result = device_.table.vkQueueSubmit(device_.queue, 1, &info, made.fence.get());
  if (result == VK_ERROR_DEVICE_LOST) note_failure(result, label);
  check_alive();
  check(result, "submitting \"" + label + "\"");
  made.segments = std::move(batch);
  batch.clear();
  made.ticket = ++submissions_;
  in_flight_.push_back(std::move(made));
}

void SubmitQueue::wait_oldest() {
  InFlight& oldest = in_flight_.front();
  const VkFence fence = oldest.fence.get();
  const bool was_done = device_.table.vkGetFenceStatus(device_.logical.device, fence) == VK_SUCCESS;
  const VkResult result = wait_for(fence);
  if (result != VK_SUCCESS) note_failure(result, oldest.label);
  check_alive();
  const auto now = std::chrono::steady_clock::now();
  // It began when the one before it was over, which the host may have noticed later.
  const auto earliest = std::max(oldest.submitted, over_after_), latest = std::max(oldest.submitted, over_before_);
  learn(oldest, seconds_between(earliest, now), was_done || earliest < latest);
  over_after_ = was_done ? earliest : now;
  over_before_ = now;
  free_fences_.push_back(std::move(oldest.fence));
  in_flight_.pop_front();
}

void SubmitQueue::learn(const InFlight& done, double seconds, bool upper_bound_only) {
  // The same segments may be under way once more, sent with the same prediction: what they took is a share of the
  // prediction that they were sent with, not of what has been learnt since.
  const double predicted = std::accumulate(done.predicted.begin(), done.predicted.end(), 0.0);
  const double scale = predicted > 0 ? seconds / predicted : 0;
  bool any_new = false;
  for (std::size_t i = 0; i < done.segments.size(); ++i) {
    Segment& segment = *done.segments[i];
    any_new = any_new || !segment.seconds;
    const double took = done.predicted[i] * scale;
    // Where the host did not see the beginning or the end, it took at most this long.
    segment.seconds = upper_bound_only ? std::min(took, predict(segment)) : took;
  }
  if (upper_bound_only) seconds = std::min(seconds, predicted);
  if (any_new && seconds < budget_ / 4) ramp_ = std::min(ramp_ * 2, kMaxRamp);
  if (any_new && seconds > budget_ / 2) ramp_ = std::max(ramp_ / 2, 1u);
}

void SubmitQueue::wait() {
  check_alive();
  while (!in_flight_.empty()) wait_oldest();
}

void SubmitQueue::wait(std::uint64_t ticket) {
  check_alive();
  while (!in_flight_.empty() && in_flight_.front().ticket <= ticket) wait_oldest();
}

bool SubmitQueue::is_over(std::uint64_t ticket) const {
  if (!failure_.empty()) return true;  // so that nobody asks for ever: the wait that follows says it
  for (auto flight = in_flight_.rbegin(); flight != in_flight_.rend(); ++flight)
    if (flight->ticket <= ticket)
      return device_.table.vkGetFenceStatus(device_.logical.device, flight->fence.get()) != VK_NOT_READY;
  return true;
}

void SubmitQueue::settle() noexcept {
  // Of a lost device every submission counts as over. What is found here is said by whoever waits next.
  for (const InFlight& flight : in_flight_) {
    if (device_.logical.abandoned) break;
    const VkResult result = wait_for(flight.fence.get());
    if (result != VK_SUCCESS) note_failure(result, flight.label);
  }
  in_flight_.clear();
}

void SubmitQueue::run_now(VkCommandBuffer commands, const std::string& label) {
  wait();
  Segment segment;
  segment.commands = commands;
  segment.seconds = 0.0;  // bounded by the staging size: not for learning
  std::vector<Segment*> batch{&segment};
  flush(batch, label);
  try {
    wait();
  } catch (...) {
    settle();
    throw;
  }
}

}  // namespace fabula::vk
