#include "cluster/mpi/link.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/environment.hpp"
#include "base/fail.hpp"

namespace fabula::cluster {
namespace {

using namespace std::chrono_literals;
constexpr auto kPulseEvery = 1s;
constexpr auto kSilence = 20s;  // without a pulse: the rank is gone, stopped or cut off
constexpr auto kOwnPause = 5s;  // of this process, a job that was stopped say: no silence of another one
constexpr auto kLeavingTogether =
    6s;  // of ranks that have failed; with kSilence within the 30 s that a lost rank may cost
constexpr auto kToldPerRank = 200ms;  // a rank waits so long for each lower one to tell the user
constexpr int kRanksWaitedFor = 5;
constexpr int kDataTag = 2;
constexpr std::size_t kLargestMessage = std::size_t{1} << 30;  // MPI counts in int
constexpr std::size_t kHostBytes = 64;

/// Ever longer pauses between looks at what is under way: answers mostly come at once or after long.
class Pauses {
 public:
  void next() {
    const auto waited = MpiLink::Clock::now() - begin_;
    if (waited < 2ms)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(waited < 1s ? 50us : 1000us);
  }

 private:
  MpiLink::Clock::time_point begin_ = MpiLink::Clock::now();
};

/// Ends the process unless it is gone in time: for what a broken library may wait for without end.
class Fuse {
 public:
  explicit Fuse(int status)
      : thread_([this, status] {
          std::unique_lock lock(mutex_);
          if (!over_.wait_for(lock, 5s, [this] { return done_; })) std::_Exit(status);
        }) {}
  ~Fuse() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    over_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable over_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace

MpiLink::MpiLink(const Launch& launch) {
  // Open MPI would put handlers of its own in the place of the system's; that of SIGBUS belongs to mapped files.
  if (environment("OMPI_MCA_opal_signal").empty()) set_environment("OMPI_MCA_opal_signal", "6");
  int level = 0;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level), "starting");
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  const auto refuse = [&](const std::string& message) {
    MPI_Finalize();
    left_ = true;
    throw Error(ErrorCode::kInvalidArgument, message);
  };
  if (size_ != launch.size)
    refuse(
        fmt::format("{} has started {} processes, but the MPI library that this program is linked with sees {}: they "
                    "belong to different MPIs; use the launcher of the library's own",
                    launch.launcher, launch.size, size_));
  if (level < MPI_THREAD_SERIALIZED)
    refuse("the MPI library cannot be called from more than one thread in turn (MPI_THREAD_SERIALIZED)");
  MPI_Comm local;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local), "ranks of a host");
  MPI_Comm_rank(local, &local_rank_);
  MPI_Comm_size(local, &local_size_);
  MPI_Comm_free(&local);
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &data_), "a communicator");
  MPI_Comm_set_errhandler(data_, MPI_ERRORS_RETURN);
  notes_.emplace();
  learn_names();
  pulse_heard_ = Clock::now();
  watcher_ = std::thread([this] { watch(); });
}

MpiLink::~MpiLink() {
  give_up(1);
}

void MpiLink::learn_names() {
  char own[std::max<std::size_t>(MPI_MAX_PROCESSOR_NAME, kHostBytes)] = {};
  int length = 0;
  MPI_Get_processor_name(own, &length);
  own[kHostBytes - 1] = 0;
  std::vector<char> all(static_cast<std::size_t>(size_) * kHostBytes);
  check_mpi(MPI_Allgather(own, kHostBytes, MPI_CHAR, all.data(), kHostBytes, MPI_CHAR, data_), "names of hosts");
  for (int r = 0; r < size_; ++r) hosts_.emplace_back(all.data() + static_cast<std::size_t>(r) * kHostBytes);
}

std::string MpiLink::name_of(int rank) const {
  return fmt::format("rank {} ({})", rank, hosts_[static_cast<std::size_t>(rank)]);
}

void MpiLink::throw_if_aborted() const {
  if (!aborted_.empty()) throw Error(ErrorCode::kPeer, aborted_);
}

void MpiLink::post(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming, std::vector<Open>& open) {
  const auto in_parts = [](auto bytes, const auto& start) {
    do {
      const auto part = bytes.first(std::min(bytes.size(), kLargestMessage));
      start(part.data(), static_cast<int>(part.size()));
      bytes = bytes.subspan(part.size());
    } while (!bytes.empty());
  };
  for (const Incoming& message : incoming)
    in_parts(message.bytes, [&](void* bytes, int count) {
      Open& one = open.emplace_back(Open{MPI_REQUEST_NULL, message.from});
      check_mpi(MPI_Irecv(bytes, count, MPI_BYTE, message.from, kDataTag, data_, &one.request), "receiving");
    });
  for (const Outgoing& message : outgoing)
    in_parts(message.bytes, [&](const void* bytes, int count) {
      Open& one = open.emplace_back(Open{MPI_REQUEST_NULL, message.to});
      check_mpi(MPI_Isend(bytes, count, MPI_BYTE, message.to, kDataTag, data_, &one.request), "sending");
    });
}

// What is over is taken off the list.
bool MpiLink::all_over(std::vector<Open>& open) {
  std::erase_if(open, [](Open& one) {
    int done = 0;
    check_mpi(MPI_Test(&one.request, &done, MPI_STATUS_IGNORE), "moving gradients");
    return done != 0;
  });
  return open.empty();
}

// Buffers of an exchange that failed are freed: nothing may be received into them any more.
void MpiLink::withdraw(std::vector<Open>& open) noexcept {
  for (Open& one : open) {
    if (one.request == MPI_REQUEST_NULL) continue;
    MPI_Cancel(&one.request);
    int done = 0;
    for (int looks = 0; looks < 100 && done == 0; ++looks) MPI_Test(&one.request, &done, MPI_STATUS_IGNORE);
  }
}

std::string MpiLink::names_of(const std::vector<Open>& open) const {
  std::vector<int> ranks;
  for (const Open& one : open) ranks.push_back(one.rank);
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  std::vector<std::string> names;
  for (const int r : ranks) names.push_back(name_of(r));
  return fmt::format("{}", fmt::join(names, ", "));
}

void MpiLink::exchange(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming,
                       Clock::time_point deadline) {
  const Clock::time_point begin = Clock::now();
  std::vector<Open> open;
  open.reserve(outgoing.size() + incoming.size());
  std::unique_lock lock(mutex_);
  throw_if_aborted();
  ensure(!left_, "an exchange after leaving");
  try {
    post(outgoing, incoming, open);
    Pauses pauses;
    while (!all_over(open)) {
      throw_if_aborted();
      if (Clock::now() > deadline)
        fail(ErrorCode::kPeer, "no answer from {} for {:.1f} s", names_of(open),
             std::chrono::duration<double>(Clock::now() - begin).count());
      lock.unlock();
      pauses.next();
      lock.lock();
    }
  } catch (...) {
    withdraw(open);
    throw;
  }
}

void MpiLink::end_all(const std::string& message) {
  if (!aborted_.empty()) return;
  aborted_ = fmt::format("{}: {}", name_of(rank_), message);
  notes_->send_to_others(NoteKind::kAbort, message);
}

void MpiLink::abort(const std::string& message) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (!left_) end_all(message);
  } catch (const std::exception&) {  // who cannot be told notices the silence
  }
}

// Each rank watches the one before it, so that a lost one costs no more messages the more there are.
void MpiLink::exchange_notes() {
  const Clock::time_point now = Clock::now();
  const int before = (rank_ + size_ - 1) % size_;
  while (const std::optional<Note> note = notes_->receive()) {
    if (note->from == before) pulse_heard_ = now;
    if (note->kind == NoteKind::kSaid) said_ = true;
    if (note->kind == NoteKind::kAbort && aborted_.empty())
      aborted_ = fmt::format("{}: {}", name_of(note->from), note->text);
  }
  if (now - pulse_sent_ >= kPulseEvery) {
    pulse_sent_ = now;
    notes_->send((rank_ + 1) % size_, NoteKind::kPulse);
  }
  if (aborted_.empty() && now - pulse_heard_ > kSilence)
    end_all(fmt::format("no sign of life from {} for {} s: it was stopped, its host is down or cut off",
                        name_of(before), std::chrono::seconds(kSilence).count()));
}

void MpiLink::watch() {
  std::unique_lock lock(mutex_);
  Clock::time_point last = Clock::now();
  while (!stopping_) {
    const Clock::time_point now = Clock::now();
    if (now - last > kOwnPause) pulse_heard_ = now;
    last = now;
    try {
      exchange_notes();
    } catch (const Error& error) {
      if (aborted_.empty()) aborted_ = error.what();
    }
    stop_.wait_for(lock, 100ms);
  }
}

bool MpiLink::tells() {
  const auto until = Clock::now() + kToldPerRank * std::min(rank_, kRanksWaitedFor);
  std::unique_lock lock(mutex_);
  while (!said_ && Clock::now() < until) stop_.wait_for(lock, 20ms);
  if (said_) return false;
  said_ = true;
  try {
    if (!left_) notes_->send_to_others(NoteKind::kSaid);
  } catch (const Error&) {  // then others tell it too
  }
  return true;
}

bool MpiLink::wait_for_all_to_leave(Clock::time_point until) {
  std::unique_lock lock(mutex_);
  if (leaving_ == MPI_REQUEST_NULL && MPI_Ibarrier(notes_->communicator(), &leaving_) != MPI_SUCCESS) return false;
  Pauses pauses;
  while (Clock::now() < until) {
    int done = 0;
    if (MPI_Test(&leaving_, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return false;
    if (done != 0) return all_leave_ = true;
    if (until == Clock::time_point::max() && !aborted_.empty()) return false;
    lock.unlock();
    pauses.next();
    lock.lock();
  }
  return false;
}

void MpiLink::stop_watching() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

void MpiLink::leave() {
  // As long as it lives a rank may take its time: rank 0 writes the report.
  if (!wait_for_all_to_leave(Clock::time_point::max()) || !aborted_.empty()) {
    const std::lock_guard lock(mutex_);
    throw Error(ErrorCode::kPeer, aborted_.empty() ? "MPI fails where all ranks leave" : aborted_);
  }
  stop_watching();
  left_ = true;
  const Fuse fuse(1);
  notes_->close();
  MPI_Comm_free(&data_);
  MPI_Finalize();
}

void MpiLink::give_up(int status) noexcept {
  if (left_ || !notes_) return;
  const bool together = all_leave_ || wait_for_all_to_leave(Clock::now() + kLeavingTogether);
  stop_watching();
  left_ = true;
  const Fuse fuse(status);  // MPI_Abort too may wait for what is not there
  if (!together) MPI_Abort(MPI_COMM_WORLD, status);
  MPI_Finalize();
}

}  // namespace fabula::cluster
