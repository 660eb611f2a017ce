#include "text/bpe.hpp"

#include <bit>
#include <queue>
#include <tuple>

namespace fabula::text {
namespace {

// Up to here a scan for the lowest rank beats a heap.
constexpr size_t kShortPiece = 32;

void merge_short(const MergeTable& merges, std::vector<uint32_t>& ids) {
  MergeTable::Entry entries[kShortPiece];  // entries[i]: the merge of ids[i] and ids[i + 1]
  size_t count = ids.size();
  for (size_t i = 0; i + 1 < count; ++i) entries[i] = merges.find(ids[i], ids[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (entries[i].rank < entries[best].rank) best = i;
    }
    if (entries[best].rank == MergeTable::kNoRank) break;
    ids[best] = entries[best].result;
    --count;
    for (size_t i = best + 1; i < count; ++i) ids[i] = ids[i + 1];
    for (size_t i = best + 1; i + 1 < count; ++i) entries[i] = entries[i + 1];
    if (best > 0) entries[best - 1] = merges.find(ids[best - 1], ids[best]);
    if (best + 1 < count) entries[best] = merges.find(ids[best], ids[best + 1]);
  }
  ids.resize(count);
}

struct Candidate {
  uint32_t rank;
  size_t left, right;          // positions in the list
  uint32_t left_id, right_id;  // what stood there: the candidate is stale when that has changed
  uint32_t result;
  bool operator<(const Candidate& other) const {  // std::priority_queue gives the largest: lowest rank, leftmost
    return std::tie(other.rank, other.left) < std::tie(rank, left);
  }
};

void merge_long(const MergeTable& merges, std::vector<uint32_t>& ids) {
  constexpr uint32_t kGone = UINT32_MAX;
  const size_t count = ids.size();
  std::vector<size_t> previous(count), next(count);
  std::priority_queue<Candidate> queue;
  const auto consider = [&](size_t left, size_t right) {
    const MergeTable::Entry entry = merges.find(ids[left], ids[right]);
    if (entry.rank != MergeTable::kNoRank) queue.push({entry.rank, left, right, ids[left], ids[right], entry.result});
  };
  for (size_t i = 0; i < count; ++i) {
    previous[i] = i - 1;  // the first wraps to a value that is never used
    next[i] = i + 1;
    if (i + 1 < count) consider(i, i + 1);
  }
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    if (ids[best.left] != best.left_id || next[best.left] != best.right || ids[best.right] != best.right_id) continue;
    ids[best.left] = best.result;
    ids[best.right] = kGone;
    next[best.left] = next[best.right];
    if (next[best.left] < count) {
      previous[next[best.left]] = best.left;
      consider(best.left, next[best.left]);
    }
    if (best.left > 0) consider(previous[best.left], best.left);
  }
  size_t kept = 0;
  for (size_t i = 0; i < count; i = next[i]) ids[kept++] = ids[i];
  ids.resize(kept);
}

}  // namespace

MergeTable::MergeTable(std::span<const Merge> merges) {
  const size_t capacity = std::bit_ceil(merges.size() * 2 + 2);
  slots_.resize(capacity);
  mask_ = capacity - 1;
  shift_ = 64 - std::countr_zero(capacity);
  for (const Merge& merge : merges) {
    const uint64_t key = key_of(merge.left, merge.right);
    size_t slot = slot_of(key);
    while (slots_[slot].key != kFree && slots_[slot].key != key) slot = (slot + 1) & mask_;
    if (slots_[slot].key == kFree || merge.rank < slots_[slot].entry.rank) {
      slots_[slot] = {key, {merge.rank, merge.result}};
    }
  }
}

void merge_piece(const MergeTable& merges, std::vector<uint32_t>& ids) {
  if (ids.size() <= kShortPiece) {
    merge_short(merges, ids);
  } else {
    merge_long(merges, ids);
  }
}

}  // namespace fabula::text
