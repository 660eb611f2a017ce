#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/labels.hpp"

namespace fabula {

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
///   chunk c, words 4c..: group (kIgnoredLabel: positions that don't count), first entry, entries (0: an unused chunk),
///   real slots entry i, words entries + 2i..: position, slot word group_chunks + g: the first chunk of group g; for g
///   = groups, the end of the last one's
struct GroupPlanLayout {
  std::int64_t positions, groups, chunks, entries, group_chunks, words;
  GroupPlanLayout(std::int64_t position_count, std::int64_t group_count);
};

/// Lists `targets` by group. Throws kInvalidArgument for a group or slot out of range.
std::vector<std::uint32_t> make_group_plan(std::span<const GroupTarget> targets, std::uint32_t groups);

}  // namespace fabula
