#include "cluster/thread_world.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "base/fail.hpp"
#include "cluster/group.hpp"

namespace fabula::cluster {
namespace {

/// What all ranks of a world share.
struct Post {
  explicit Post(int ranks)
      : size(ranks), boxes(static_cast<std::size_t>(ranks * ranks)), gone(static_cast<std::size_t>(ranks)) {}
  std::deque<std::vector<std::byte>>& box(int from, int to) {
    return boxes[static_cast<std::size_t>(from * size + to)];
  }

  const int size;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::deque<std::vector<std::byte>>> boxes;
  std::vector<bool> gone;  ///< by rank
  std::string aborted;     ///< "rank N: message"
};

class ThreadTransport final : public Transport {
 public:
  ThreadTransport(std::shared_ptr<Post> post, int rank) : post_(std::move(post)), rank_(rank) {}
  ~ThreadTransport() override {
    const std::lock_guard lock(post_->mutex);
    post_->gone[static_cast<std::size_t>(rank_)] = true;
    post_->changed.notify_all();
  }

  int rank() const override { return rank_; }
  int size() const override { return post_->size; }
  int local_rank() const override { return rank_; }
  int local_size() const override { return post_->size; }

  void exchange(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming,
                Clock::time_point deadline) override {
    const auto begin = Clock::now();
    std::unique_lock lock(post_->mutex);
    throw_if_aborted();
    for (const Outgoing& message : outgoing)
      post_->box(rank_, message.to).emplace_back(message.bytes.begin(), message.bytes.end());
    post_->changed.notify_all();
    std::size_t next = 0;
    const auto take_what_came = [&] {
      if (!post_->aborted.empty()) return true;
      while (next < incoming.size() && take(incoming[next])) ++next;
      return next == incoming.size() || is_gone(incoming[next].from);
    };
    const bool in_time = post_->changed.wait_until(lock, deadline, take_what_came);
    throw_if_aborted();
    if (next == incoming.size()) return;
    if (in_time) fail(ErrorCode::kPeer, "rank {} has ended", incoming[next].from);
    fail(ErrorCode::kPeer, "no answer from {} for {:.1f} s", missing(incoming.subspan(next)),
         std::chrono::duration<double>(Clock::now() - begin).count());
  }

  void abort(const std::string& message) noexcept override {
    const std::lock_guard lock(post_->mutex);
    if (post_->aborted.empty()) post_->aborted = fmt::format("rank {}: {}", rank_, message);
    post_->changed.notify_all();
  }

 private:
  bool is_gone(int rank) const { return post_->gone[static_cast<std::size_t>(rank)]; }

  void throw_if_aborted() const {
    if (!post_->aborted.empty()) throw Error(ErrorCode::kPeer, post_->aborted);
  }

  bool take(const Incoming& message) {
    std::deque<std::vector<std::byte>>& box = post_->box(message.from, rank_);
    if (box.empty()) return false;
    ensure(box.front().size() == message.bytes.size(), "rank {} sent {} bytes to rank {}, which waits for {}",
           message.from, box.front().size(), rank_, message.bytes.size());
    std::copy(box.front().begin(), box.front().end(), message.bytes.begin());
    box.pop_front();
    return true;
  }

  std::string missing(std::span<const Incoming> open) const {
    std::vector<int> ranks;
    for (const Incoming& message : open)
      if (post_->box(message.from, rank_).empty()) ranks.push_back(message.from);
    std::sort(ranks.begin(), ranks.end());
    ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
    return fmt::format("rank{} {}", ranks.size() == 1 ? "" : "s", fmt::join(ranks, ", "));
  }

  const std::shared_ptr<Post> post_;  // shared: ranks end in any order
  const int rank_;
};

}  // namespace

std::vector<std::unique_ptr<train::Reducer>> thread_world(int size) {
  ensure(size >= 1, "a world of {} ranks", size);
  const auto post = std::make_shared<Post>(size);
  std::vector<std::unique_ptr<train::Reducer>> ranks;
  for (int r = 0; r < size; ++r) ranks.push_back(std::make_unique<Group>(std::make_unique<ThreadTransport>(post, r)));
  return ranks;
}

}  // namespace fabula::cluster
