#include "cluster/group.hpp"

#include <utility>

#include "base/fail.hpp"

namespace fabula::cluster {

Group::Group(std::unique_ptr<Transport> transport)
    : transport_(std::move(transport)), add_(*transport_), worker_([this] { run_jobs(); }) {}

Group::~Group() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (!jobs_.empty() && error_ == nullptr) transport_->abort("it ended in the midst of its work");
  }
  changed_.notify_all();
  worker_.join();
}

std::uint64_t Group::start(const char* what, Patience patience, Work work) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back({++started_, what, patience, std::move(work)});
  changed_.notify_all();
  return started_;
}

void Group::run_jobs() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    const Job& job = jobs_.front();  // others are only added behind it
    if (error_ == nullptr) {
      lock.unlock();
      run_one(job);
      lock.lock();
    }
    jobs_.pop_front();
    changed_.notify_all();
  }
}

// What one rank cannot do ends the others' work too: they would wait for it in vain.
void Group::run_one(const Job& job) {
  std::exception_ptr error;
  try {
    job.work(Transport::Clock::now() + job.patience);
    return;
  } catch (const Error& failure) {
    transport_->abort(failure.what());
    error = std::make_exception_ptr(Error(failure.code(), fmt::format("{}: {}", job.what, failure.what())));
  } catch (const std::exception& failure) {
    transport_->abort(failure.what());
    error = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  error_ = error;
}

void Group::finish(std::uint64_t job) {
  std::unique_lock lock(mutex_);
  const auto done = [&] { return error_ != nullptr || jobs_.empty() || jobs_.front().number > job; };
  if (!done()) {
    const auto begin = Transport::Clock::now();
    changed_.wait(lock, done);  // every job ends by its own deadline
    waited_ += std::chrono::duration<double>(Transport::Clock::now() - begin).count();
  }
  if (error_ != nullptr) std::rethrow_exception(error_);
}

std::uint64_t Group::start_sum(std::span<float> values, train::WireType wire, Patience patience) {
  return start("adding gradients", patience, [this, values, wire, flush = flush_](Deadline deadline) {
    const train::SumTimes times = add_(values, wire, flush, deadline);
    const std::lock_guard lock(mutex_);
    if (keeps_times_) times_.push_back(times);
  });
}

void Group::keep_times() {
  const std::lock_guard lock(mutex_);
  keeps_times_ = true;
}

std::vector<train::SumTimes> Group::take_times() {
  const std::lock_guard lock(mutex_);
  return std::exchange(times_, {});
}

void Group::finish_sum(std::uint64_t sum) {
  finish(sum);
}

void Group::broadcast(std::span<std::byte> bytes, Patience patience) {
  finish(start("hearing rank 0", patience, [this, bytes](Deadline deadline) {
    std::vector<Outgoing> outgoing;
    std::vector<Incoming> incoming;
    if (rank() != 0) incoming.push_back({0, bytes});
    for (int r = 1; r < size() && rank() == 0; ++r) outgoing.push_back({r, bytes});
    transport_->exchange(outgoing, incoming, deadline);
  }));
}

std::vector<std::vector<std::byte>> Group::gather(std::span<const std::byte> bytes, Patience patience) {
  std::vector<std::vector<std::byte>> gathered;
  finish(start("telling rank 0", patience, [&](Deadline deadline) {
    const std::uint64_t own_size = bytes.size();
    if (rank() != 0) {
      const Outgoing outgoing[] = {{0, std::as_bytes(std::span(&own_size, 1))}, {0, bytes}};
      transport_->exchange(outgoing, {}, deadline);
      return;
    }
    const auto ranks = static_cast<std::size_t>(size());
    std::vector<std::uint64_t> sizes(ranks);
    std::vector<Incoming> incoming;
    for (std::size_t r = 1; r < ranks; ++r)
      incoming.push_back({static_cast<int>(r), std::as_writable_bytes(std::span(&sizes[r], 1))});
    transport_->exchange({}, incoming, deadline);
    gathered.resize(ranks);
    gathered.front().assign(bytes.begin(), bytes.end());
    for (std::size_t r = 1; r < ranks; ++r) {
      gathered[r].resize(sizes[r]);
      incoming[r - 1].bytes = gathered[r];
    }
    transport_->exchange({}, incoming, deadline);
  }));
  return gathered;
}

void Group::barrier(Patience patience) {
  finish(start("waiting for all", patience, [this](Deadline deadline) {
    std::vector<Outgoing> outgoing;
    std::vector<Incoming> incoming;
    for (int r = 0; r < size(); ++r) {
      if (r == rank()) continue;
      outgoing.push_back({r, {}});
      incoming.push_back({r, {}});
    }
    transport_->exchange(outgoing, incoming, deadline);
  }));
}

}  // namespace fabula::cluster
