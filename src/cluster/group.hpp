#pragma once
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "cluster/ordered_sum.hpp"
#include "cluster/transport.hpp"
#include "train/reducer.hpp"

namespace fabula::cluster {

/// The Reducer of every world: what the ranks send each other over a transport, and how it is added. A thread of its
/// own does what is started, one thing after the other, while the caller goes on.
class Group final : public train::Reducer {
 public:
  explicit Group(std::unique_ptr<Transport> transport);
  /// Ends what is under way by an abort, where something is.
  ~Group() override;

  int rank() const override { return transport_->rank(); }
  int size() const override { return transport_->size(); }
  int local_rank() const override { return transport_->local_rank(); }
  int local_size() const override { return transport_->local_size(); }
  std::uint64_t start_sum(std::span<float> values, train::WireType wire, Patience patience) override;
  void finish_sum(std::uint64_t sum) override;
  double waited_seconds() const override { return waited_; }
  void keep_times() override;
  std::vector<train::SumTimes> take_times() override;
  void flush_subnormals(bool flush) override { flush_ = flush; }
  void broadcast(std::span<std::byte> bytes, Patience patience) override;
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes, Patience patience) override;
  void barrier(Patience patience) override;
  void abort(const std::string& message) noexcept override { transport_->abort(message); }

 private:
  using Deadline = Transport::Clock::time_point;
  using Work = std::function<void(Deadline)>;
  struct Job {
    std::uint64_t number;
    const char* what;
    Patience patience;
    Work work;
  };
  std::uint64_t start(const char* what, Patience patience, Work work);
  void finish(std::uint64_t job);
  void run_jobs();
  void run_one(const Job& job);

  std::unique_ptr<Transport> transport_;
  OrderedSum add_;  ///< the worker's
  bool flush_ = false;
  double waited_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;  ///< to be done; the first one is under way
  bool keeps_times_ = false;
  std::vector<train::SumTimes> times_;
  std::uint64_t started_ = 0;  ///< number of the last one
  std::exception_ptr error_;   ///< of the first job that failed: nothing is done behind it
  bool ending_ = false;
  std::thread worker_;  ///< last: it uses all of the above
};

}  // namespace fabula::cluster
