#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.hpp"
#include "vk/limits.hpp"

namespace fabula::graph {

enum class Pool : std::uint8_t { kArena, kStore, kInputs };

/// Where rows [row_begin, row_end) of a value lie.
struct Piece {
  std::uint32_t block = 0;
  std::uint64_t offset = 0;  ///< bytes, aligned
  std::int64_t row_begin = 0, row_end = 0;
};

/// Where a value lies: one piece, or row pieces when it is larger than a block may be.
struct Placement {
  Pool pool = Pool::kArena;
  std::vector<Piece> pieces;
};

/// Rows a block boundary is a multiple of: 64 rows of at least 16 bytes keep every piece and row block 1,024-byte
/// aligned.
inline constexpr std::int64_t kRowQuantum = 64;

/// What every value's place is a multiple of, in bytes; at most that much lies unused between two values of a
/// LinearLayout.
inline std::uint64_t memory_alignment(const vk::Limits& limits) {
  return std::max<std::uint64_t>(256, limits.storage_alignment);
}

/// Memory blocks filled one after the other; no value is freed. For the store and for inputs.
class LinearLayout {
 public:
  LinearLayout(std::uint64_t max_block, std::uint64_t alignment)
      : max_block_(max_block / alignment * alignment), alignment_(alignment) {}
  /// Throws kOutOfMemory when 64 rows alone exceed a block, or those that stay `together` (ValueInfo::together).
  Placement place(Pool pool, const std::string& name, const Shape& shape, std::int64_t together = 1);
  const std::vector<std::uint64_t>& block_sizes() const { return blocks_; }

 private:
  std::uint64_t max_block_, alignment_;
  std::vector<std::uint64_t> blocks_;
};

/// One stretch of arena memory and the nodes during which it is taken.
struct Interval {
  std::vector<Value> values;  ///< those that share it (in-place chains); empty for scratch
  std::uint64_t bytes = 0;
  std::int32_t first = 0, last = 0;  ///< node indices, inclusive; `last` is the number of nodes where the host reads it
  Placement placement;
};

struct ArenaPlan {
  std::vector<Interval> intervals;
  std::vector<std::int32_t> interval_of;           ///< by Value::id; -1: not in the arena
  std::vector<std::vector<std::int32_t>> scratch;  ///< by node: intervals of its scratch values
  std::vector<std::uint64_t> block_sizes;
  std::uint64_t live_peak = 0;  ///< most bytes alive at once; the blocks' sum is this plus fragmentation
  std::int32_t peak_node = -1;
  std::uint64_t looks = 0;  ///< stretches of memory looked for while placing: grows little faster than the graph
};

struct ArenaLimits {
  std::uint64_t max_block = 1ull << 30;
  std::uint64_t alignment = 256;
};

/// Lifetimes, in-place reuse and first-fit placement (largest first) of every activation; `scratch_shapes` is by node.
ArenaPlan plan_arena(const Graph& graph, const std::vector<std::vector<Shape>>& scratch_shapes,
                     const ArenaLimits& limits);

}  // namespace fabula::graph
