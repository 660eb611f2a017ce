#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/labels.hpp"

namespace fabula {

/// Most positions of a batch, and most slots of a group, that the grouped matrix products take: a workgroup steps over
/// either by 16 or 8 at a time, in 32,768 iterations at most.
inline constexpr std::int64_t kMaxGroupedExtent = 1 << 18;

/// A position's label in a two-level vocabulary head, as the kernels read it (four words).
struct GroupTarget {
  std::uint32_t group;  ///< kIgnoredLabel: the position does not count
  std::uint32_t slot;   ///< in the group
  std::uint32_t slots;  ///< how many slots of the group are real
  std::uint32_t unused = 0;
};

/// Where the parts of a group plan stand in its words. A plan lists a batch's positions by group, in chunks of at most
/// 64, so that sums over the positions of a group have a fixed order; its size depends on the numbers of positions and
/// groups alone.
/// Words 4c.. of chunk c: its group (kIgnoredLabel: positions that don't count), first entry, number of entries (0: an
/// unused chunk), real slots of the group. Words entries + 2i.. of entry i: its position and slot. Word group_chunks +
/// g: the first chunk of group g; for g = groups, the end of the last one's.
struct GroupPlanLayout {
  std::int64_t positions, groups, chunks, entries, group_chunks, words;
  GroupPlanLayout(std::int64_t position_count, std::int64_t group_count);
};

/// Lists `targets` by group. Throws kInvalidArgument for a group or slot out of range.
std::vector<std::uint32_t> make_group_plan(std::span<const GroupTarget> targets, std::uint32_t groups);

}  // namespace fabula
