#include "base/group_plan.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "base/segments.hpp"

namespace fabula {

// One key more than groups: the positions that don't count, which come last.
GroupPlanLayout::GroupPlanLayout(std::int64_t position_count, std::int64_t group_count)
    : positions(position_count),
      groups(group_count),
      chunks(SegmentCapacity{positions, groups + 1}.chunks()),
      entries(4 * chunks),
      group_chunks(entries + 2 * positions),
      words(group_chunks + groups + 1) {}

std::vector<std::uint32_t> make_group_plan(std::span<const GroupTarget> targets, std::uint32_t groups) {
  const GroupPlanLayout layout(static_cast<std::int64_t>(targets.size()), groups);
  std::vector<std::uint32_t> keys(targets.size());
  for (std::size_t n = 0; n < targets.size(); ++n) {
    const GroupTarget& target = targets[n];
    const bool counts = target.group != kIgnoredLabel;
    if (counts && (target.group >= groups || target.slot >= target.slots)) {
      fail(ErrorCode::kInvalidArgument, "position {}: group {} slot {}, expected a group below {} and a slot below {}",
           n, target.group, target.slot, groups, target.slots);
    }
    keys[n] = counts ? target.group : groups;
  }
  const SegmentPlan segments = plan_segments(keys, layout.groups + 1);

  std::vector<std::uint32_t> plan(static_cast<std::size_t>(layout.words), 0);
  std::uint32_t* const entries = plan.data() + layout.entries;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    entries[2 * i] = segments.order[i];
    entries[2 * i + 1] = targets[segments.order[i]].slot;
  }
  std::uint32_t* const group_chunks = plan.data() + layout.group_chunks;
  const std::uint32_t chunks = segments.segments[0];
  std::uint32_t next_group = 0;  // group_chunks[0, next_group) are written
  for (std::uint32_t c = 0; c < chunks; ++c) {
    const std::uint32_t* chunk = segments.segments.data() + 4 * (std::size_t{c} + 1);
    const std::uint32_t group = chunk[0], begin = chunk[1], length = chunk[2];
    for (; next_group <= group; ++next_group) group_chunks[next_group] = c;
    const bool counts = group != groups;
    const std::uint32_t record[4] = {counts ? group : kIgnoredLabel, begin, length,
                                     counts ? targets[segments.order[begin]].slots : 0};
    std::copy(record, record + 4, plan.begin() + 4 * static_cast<std::ptrdiff_t>(c));
  }
  for (; next_group <= groups; ++next_group) group_chunks[next_group] = chunks;
  return plan;
}

}  // namespace fabula
