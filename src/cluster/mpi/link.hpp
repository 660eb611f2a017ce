#pragma once
#include <condition_variable>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "cluster/launch.hpp"
#include "cluster/mpi/notes.hpp"
#include "cluster/transport.hpp"

namespace fabula::cluster {

/// This process's hold on MPI, from MPI_Init to MPI_Finalize: who the ranks are, exchanges between them, signs of life
/// in the background, and how all end. One thread at a time calls the library (MPI_THREAD_SERIALIZED).
class MpiLink {
 public:
  using Clock = Transport::Clock;

  explicit MpiLink(const Launch& launch);
  /// Ends this process where neither leave() nor give_up() was called.
  ~MpiLink();
  MpiLink(const MpiLink&) = delete;
  MpiLink& operator=(const MpiLink&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }
  std::string name_of(int rank) const;

  void exchange(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming, Clock::time_point deadline);
  void abort(const std::string& message) noexcept;

  bool tells();
  void leave();
  void give_up(int status) noexcept;

 private:
  struct Open {
    MPI_Request request;
    int rank;
  };
  void learn_names();
  void post(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming, std::vector<Open>& open);
  bool all_over(std::vector<Open>& open);
  void withdraw(std::vector<Open>& open) noexcept;
  std::string names_of(const std::vector<Open>& open) const;
  void throw_if_aborted() const;

  void watch();                              ///< the background thread
  void exchange_notes();                     ///< under mutex_, as the next
  void end_all(const std::string& message);  ///< "rank N: message", to all
  bool wait_for_all_to_leave(Clock::time_point until);
  void stop_watching();

  MPI_Comm data_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  std::vector<std::string> hosts_;  ///< by rank

  mutable std::mutex mutex_;  ///< of all calls of MPI, and of what follows
  std::optional<Notes> notes_;
  std::string aborted_;  ///< "rank N: message"
  bool said_ = false;    ///< the user has been told, here or elsewhere
  bool left_ = false;    ///< MPI is over for this process
  MPI_Request leaving_ = MPI_REQUEST_NULL;
  bool all_leave_ = false;
  Clock::time_point pulse_sent_{}, pulse_heard_{};

  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread watcher_;  ///< last: it uses all of the above
};

}  // namespace fabula::cluster
