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

/// Most slots of a group whose logits lie in rounds: those of one chunk of its positions take half of a round.
inline constexpr std::int64_t kMaxRaggedSlots = 1 << 17;

/// How the logits of a batch lie where a position has only those of its own group: a row of ceil(slots / 4) vec4s an
/// entry of the plan, chunk after chunk, in as many rounds as the worst batch needs. A round holds a quarter of that
/// batch, 256 logits a position at least and 64 MiB at most, so that most batches are through in the first.
struct GroupRounds {
  std::int64_t count = 0;  ///< 0: logits lie by position
  std::int64_t vec4s = 0;  ///< of a round, at most
  GroupRounds() = default;
  /// `slots` 0: none. Throws kInvalidArgument for more than kMaxRaggedSlots.
  GroupRounds(std::int64_t positions, std::int64_t slots);
};

/// Where the parts of a group plan stand in its words. A plan lists a batch's positions by group, in chunks of at most
/// 64, so that sums over the positions of a group have a fixed order; its size depends on the numbers of positions,
/// groups and slots alone.
/// Words 4c.. of chunk c: its group (kIgnoredLabel: positions that don't count), first entry, number of entries (0: an
/// unused chunk), real slots of the group. Words entries + 2i.. of entry i: its position and slot. Word group_chunks +
/// g: the first chunk of group g; for g = groups, the end of the last one's. With rounds, word places + c: the vec4 of
/// its round at which chunk c begins; word round_chunks + r: the first chunk of round r; for r = rounds, the end.
struct GroupPlanLayout {
  std::int64_t positions, groups, chunks, entries, group_chunks, places, round_chunks;
  GroupRounds rounds;
  std::int64_t words;
  /// `slots`: of the largest group, for a plan with rounds; 0: one without.
  GroupPlanLayout(std::int64_t position_count, std::int64_t group_count, std::int64_t slots = 0);
};

/// Lists `targets` by group. Throws kInvalidArgument for a group or slot out of range.
std::vector<std::uint32_t> make_group_plan(std::span<const GroupTarget> targets, std::uint32_t groups,
                                           std::uint32_t slots = 0);

}  // namespace fabula
