#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fabula/error.hpp"

namespace fabula::train {

/// The longest that a rank waits for the others where all do the same work.
inline constexpr std::chrono::seconds kPeerPatience{30};
/// The same where some may still compile kernels, read data or write a checkpoint.
inline constexpr std::chrono::seconds kSetupPatience{1800};

/// The type in which the parts of a sum travel. They are added in fp32; a sum is rounded once more on its way back.
enum class WireType { kFp32, kBf16 };

/// When a sum went through its phases.
struct SumTimes {
  using Point = std::chrono::steady_clock::time_point;
  std::uint64_t bytes = 0;        ///< of its values
  Point begin, sent, added, end;  ///< slices are sent to their owners, added, and sent back
};

/// An error that every rank throws, with the same message: nobody waits for the others.
class SharedError : public Error {
 public:
  using Error::Error;
};

/// One of the processes ("ranks") that train one model together, as it sees the others. All ranks make the same calls
/// in the same order with the same sizes; what is started is done in that order too. Every wait ends: with an Error
/// (ErrorCode::kPeer) that names the ranks that did not answer for as long as the patience lasts, and what they were
/// asked for. After an error, or once a rank has called abort, every call on every rank throws.
class Reducer {
 public:
  using Patience = std::chrono::milliseconds;
  virtual ~Reducer() = default;

  virtual int rank() const = 0;  ///< from 0
  virtual int size() const = 0;
  virtual int local_rank() const = 0;  ///< among the ranks of this host, from 0
  virtual int local_size() const = 0;
  bool leads() const { return rank() == 0; }  ///< the rank that owns the run's folder, log and samples

  /// Starts adding the ranks' `values`, which must stay until the sum is finished: element by element in fp32, in a
  /// binary tree over the ranks, so that the bits depend neither on the time nor on the host. Returns the sum's number.
  virtual std::uint64_t start_sum(std::span<float> values, WireType wire, Patience patience) = 0;
  /// Waits for a sum: `values` of start_sum hold it then, alike on every rank. Sums are finished in any order, each
  /// once.
  virtual void finish_sum(std::uint64_t sum) = 0;
  /// Seconds that finish_sum has waited so far.
  virtual double waited_seconds() const = 0;
  /// From now on sums are kept note of; and those since this was last asked, all of which must be finished.
  virtual void keep_times() = 0;
  virtual std::vector<SumTimes> take_times() = 0;
  /// Whether subnormal numbers are taken for zeros of their sign, before and behind every addition, as devices may do;
  /// for the sums started from now on.
  virtual void flush_subnormals(bool flush) = 0;

  /// Rank 0's bytes replace those of the others.
  virtual void broadcast(std::span<std::byte> bytes, Patience patience) = 0;
  /// On rank 0 the bytes of all ranks, by rank, of any sizes; elsewhere empty.
  virtual std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes, Patience patience) = 0;
  /// Returns once every rank has come to it.
  virtual void barrier(Patience patience) = 0;
  /// Ends the work of all ranks: their waits throw an Error of kPeer that holds `message` and this rank's number. Can
  /// be called from any thread, and again: the first message stays.
  virtual void abort(const std::string& message) noexcept = 0;

  void sum(std::span<float> values, Patience patience = kPeerPatience) {
    finish_sum(start_sum(values, WireType::kFp32, patience));
  }
  /// Throws a SharedError of kInvalidArgument on every rank where the ranks' texts are not all the same, naming the
  /// first rank that differs from rank 0, `what`, and both texts.
  void agree(std::string_view what, std::string_view text, Patience patience = kSetupPatience);
  /// What rank 0 alone does while the others wait. An Error that it throws is thrown on every rank, as a SharedError.
  void lead(const std::function<void()>& work, Patience patience = kSetupPatience);
  /// The text of rank 0, of any length, on every rank.
  std::string broadcast_text(std::string_view text, Patience patience = kSetupPatience);
};

}  // namespace fabula::train
