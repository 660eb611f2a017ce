#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace fabula::text {

/// Two neighbouring tokens become one. Of the merges that apply, the lowest rank goes first, the leftmost among equals.
struct Merge {
  uint32_t left, right, result, rank;
};

/// From a pair of tokens to its merge: an open-addressing table, because a lookup is the inner loop of encoding.
class MergeTable {
 public:
  struct Entry {
    uint32_t rank = kNoRank, result = 0;
  };
  static constexpr uint32_t kNoRank = UINT32_MAX;

  explicit MergeTable(std::span<const Merge> merges = {});
  /// Rank kNoRank when the pair does not merge.
  Entry find(uint32_t left, uint32_t right) const {
    const uint64_t key = key_of(left, right);
    for (size_t slot = slot_of(key);; slot = (slot + 1) & mask_) {
      if (slots_[slot].key == key) return slots_[slot].entry;
      if (slots_[slot].key == kFree) return {};
    }
  }

 private:
  struct Slot {
    uint64_t key = kFree;
    Entry entry;
  };
  static constexpr uint64_t kFree = UINT64_MAX;
  static uint64_t key_of(uint32_t left, uint32_t right) { return uint64_t{left} << 32 | right; }
  size_t slot_of(uint64_t key) const { return static_cast<size_t>(key * 0x9E3779B97F4A7C15ull >> shift_); }

  std::vector<Slot> slots_;
  size_t mask_ = 0;
  int shift_ = 0;
};

/// Merges a piece in place: `ids` starts as one token a byte and ends as the piece's tokens. Time O(n log n).
void merge_piece(const MergeTable& merges, std::vector<uint32_t>& ids);

}  // namespace fabula::text
