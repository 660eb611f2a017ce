#pragma once
#include <cstdint>
#include <vector>

#include "base/labels.hpp"
#include "text/token_file.hpp"

namespace fabula::text {

/// B sequences of T tokens; labels[i] is the token after ids[i], or kIgnoredLabel.
struct Batch {
  std::vector<uint32_t> ids;     ///< [B, T]
  std::vector<uint32_t> labels;  ///< [B, T]
};

/// Cuts a token file into windows of T + 1 tokens that overlap by one, so that every token but the first is predicted
/// once an epoch. A batch is a pure function of its number: reading resumes anywhere, and a position is that one
/// number.
class BatchSource {
 public:
  enum class Order {
    kShuffled,    ///< a new order every epoch, decided by the seed; batches run on through the epochs without end
    kSequential,  ///< every window once, the last one partial: filled with eot and kIgnoredLabel
  };

  /// B = batch_size, T = sequence_length. The file must outlive this. Throws kInvalidArgument when the file is too
  /// short: T + 1 tokens are needed for kShuffled, 2 for kSequential.
  BatchSource(const TokenFile& tokens, uint32_t batch_size, uint32_t sequence_length, uint64_t seed,
              Order order = Order::kShuffled);

  /// Fills batch number `index`. Throws kInvalidArgument past the end of a kSequential source.
  void read(uint64_t index, Batch& batch) const;
  Batch batch(uint64_t index) const;
  /// The batch whose first window is number `window`, counted on through the epochs; batch(i) is batch_from(i *
  /// batch_size).
  Batch batch_from(uint64_t window) const;

  /// Windows in an epoch: whole ones only when shuffled.
  uint64_t windows() const { return windows_; }
  /// Batches that hold a whole epoch, the last one shared with the next epoch (kShuffled) or padded (kSequential).
  uint64_t batches_per_epoch() const { return (windows_ + batch_size_ - 1) / batch_size_; }
  /// Epochs gone by before batch number `index`; 1.5 is the middle of the second.
  double epoch(uint64_t index) const {
    return static_cast<double>(index) * static_cast<double>(batch_size_) / static_cast<double>(windows_);
  }
  /// The window that stands at `place` in the order of `epoch`: a permutation of [0, windows()) for each epoch.
  uint64_t window_at(uint64_t epoch, uint64_t place) const;

 private:
  void read_from(uint64_t window, Batch& batch) const;

  const TokenFile& tokens_;
  uint32_t batch_size_, sequence_length_;
  uint64_t seed_;
  Order order_;
  uint64_t windows_ = 0;
  int half_bits_ = 0;  // of the permutation's domain, the smallest even power of two that holds the windows
};

}  // namespace fabula::text
