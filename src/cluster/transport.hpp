#pragma once
#include <chrono>
#include <cstddef>
#include <span>
#include <string>

namespace fabula::cluster {

/// Bytes for another rank. They stay until the exchange is over.
struct Outgoing {
  int to = 0;
  std::span<const std::byte> bytes;
};
/// Room for exactly as many bytes as the other rank sends.
struct Incoming {
  int from = 0;
  std::span<std::byte> bytes;
};

/// How bytes get from one rank to another: all that a kind of world (threads, MPI) has to know. What is made of them,
/// sums in a fixed order above all, is Group's, and so the same in every world.
class Transport {
 public:
  using Clock = std::chrono::steady_clock;
  virtual ~Transport() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int local_rank() const = 0;  ///< among the ranks of this host
  virtual int local_size() const = 0;

  /// Sends and receives all of these, side by side; returns when the buffers are free and filled. What one rank sends
  /// to another arrives in the order in which it was sent; neither list names this rank; messages may be empty and may
  /// be larger than 2 GiB. One exchange runs at a time, always on Group's own thread (with MPI: MPI_THREAD_SERIALIZED
  /// is enough). Throws ErrorCode::kPeer after `deadline`, naming the ranks with which something is still open, and as
  /// soon as any rank has aborted, with its message.
  virtual void exchange(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming,
                        Clock::time_point deadline) = 0;

  /// Makes exchanges on every rank throw, the one under way included, with "rank N: message". From any thread; the
  /// first message stays.
  virtual void abort(const std::string& message) noexcept = 0;
};

}  // namespace fabula::cluster
