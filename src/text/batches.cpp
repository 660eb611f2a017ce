#include "text/batches.hpp"

#include <algorithm>
#include <bit>

#include "base/fail.hpp"
#include "base/philox.hpp"

namespace fabula::text {

BatchSource::BatchSource(const TokenFile& tokens, uint32_t batch_size, uint32_t sequence_length, uint64_t seed,
                         Order order)
    : tokens_(tokens), batch_size_(batch_size), sequence_length_(sequence_length), seed_(seed), order_(order) {
  if (batch_size == 0 || sequence_length == 0) {
    fail(ErrorCode::kInvalidArgument, "batches of {} sequences of {} tokens cannot be made; both must be at least 1",
         batch_size, sequence_length);
  }
  const uint64_t needed = order == Order::kShuffled ? uint64_t{sequence_length} + 1 : 2;
  if (tokens.size() < needed) {
    fail(ErrorCode::kInvalidArgument,
         "{}: {} tokens are too few, sequences of {} need at least {}; give more text or a shorter sequence",
         tokens.path().string(), tokens.size(), sequence_length, needed);
  }
  const uint64_t predicted = tokens.size() - 1;
  windows_ =
      order == Order::kShuffled ? predicted / sequence_length : (predicted + sequence_length - 1) / sequence_length;
  half_bits_ = (std::bit_width(windows_ - 1) + 1) / 2;
}

uint64_t BatchSource::window_at(uint64_t epoch, uint64_t place) const {
  if (order_ == Order::kSequential) return place;
  // A Feistel network permutes [0, 4^half_bits); walking on until the value is a window permutes the windows, and no
  // list of the size of the corpus is kept. Four rounds look random in theory (Luby and Rackoff 1988); with ten windows
  // they gave nine times too many involutions, eight did not.
  constexpr uint32_t kRounds = 8;
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t value = place;
  do {
    uint64_t left = value >> half_bits_, right = value & mask;
    for (uint32_t round = 0; round < kRounds; ++round) {
      const auto random = philox4x32(
          {static_cast<uint32_t>(right), static_cast<uint32_t>(epoch), static_cast<uint32_t>(epoch >> 32), round},
          {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
      const uint64_t next = left ^ (random[0] & mask);
      left = right;
      right = next;
    }
    value = left << half_bits_ | right;
  } while (value >= windows_);
  return value;
}

void BatchSource::read(uint64_t index, Batch& batch) const {
  if (order_ == Order::kSequential && index >= batches_per_epoch()) {
    fail(ErrorCode::kInvalidArgument, "{}: batch {} was asked for, there are {}", tokens_.path().string(), index,
         batches_per_epoch());
  }
  read_from(index * batch_size_, batch);
}

void BatchSource::read_from(uint64_t window, Batch& batch) const {
  const size_t length = sequence_length_;
  batch.ids.assign(batch_size_ * length, tokens_.eot_id());
  batch.labels.assign(batch_size_ * length, kIgnoredLabel);
  for (uint64_t row = 0; row < batch_size_; ++row) {
    const uint64_t sample = window + row;
    if (order_ == Order::kSequential && sample >= windows_) break;
    const uint64_t begin = window_at(sample / windows_, sample % windows_) * length;
    const auto count = static_cast<size_t>(std::min<uint64_t>(length, tokens_.size() - 1 - begin));
    tokens_.read(begin, std::span(batch.ids).subspan(row * length, count));
    tokens_.read(begin + 1, std::span(batch.labels).subspan(row * length, count));
  }
}

Batch BatchSource::batch(uint64_t index) const {
  Batch batch;
  read(index, batch);
  return batch;
}

Batch BatchSource::batch_from(uint64_t window) const {
  Batch batch;
  read_from(window, batch);
  return batch;
}

}  // namespace fabula::text
