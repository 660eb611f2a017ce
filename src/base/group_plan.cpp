#include "base/group_plan.hpp"

#include <algorithm>
#include <numeric>

#include "base/fail.hpp"

namespace fabula {
namespace {
constexpr std::uint32_t kChunkPositions = 64;
}  // namespace

GroupPlanLayout::GroupPlanLayout(std::int64_t position_count, std::int64_t group_count)
    : positions(position_count),
      groups(group_count),
      chunks(std::min(positions, groups + 1 + positions / kChunkPositions)),  // + 1: the positions that don't count
      entries(4 * chunks),
      group_chunks(entries + 2 * positions),
      words(group_chunks + groups + 1) {}

std::vector<std::uint32_t> make_group_plan(std::span<const GroupTarget> targets, std::uint32_t groups) {
  const GroupPlanLayout layout(static_cast<std::int64_t>(targets.size()), groups);
  for (std::size_t n = 0; n < targets.size(); ++n) {
    const GroupTarget& target = targets[n];
    if (target.group == kIgnoredLabel || (target.group < groups && target.slot < target.slots)) continue;
    fail(ErrorCode::kInvalidArgument, "position {}: group {} slot {}, expected a group below {} and a slot below {}", n,
         target.group, target.slot, groups, target.slots);
  }
  std::vector<std::uint32_t> order(targets.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return targets[a].group < targets[b].group; });

  std::vector<std::uint32_t> plan(static_cast<std::size_t>(layout.words), 0);
  std::uint32_t* const entries = plan.data() + layout.entries;
  std::uint32_t* const group_chunks = plan.data() + layout.group_chunks;
  std::uint32_t chunks = 0, groups_begun = 0;  // group_chunks[0, groups_begun) are written
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    const GroupTarget& target = targets[order[i]];
    entries[2 * i] = order[i];
    entries[2 * i + 1] = target.slot;
    std::uint32_t* last = plan.data() + 4 * (std::size_t{chunks} - 1);
    if (chunks == 0 || last[0] != target.group || last[2] == kChunkPositions) {
      for (; groups_begun <= std::min(target.group, groups); ++groups_begun) group_chunks[groups_begun] = chunks;
      last = plan.data() + 4 * std::size_t{chunks++};
      last[0] = target.group;
      last[1] = i;
      last[3] = target.group == kIgnoredLabel ? 0 : target.slots;
    }
    ++last[2];
  }
  for (; groups_begun <= groups; ++groups_begun) group_chunks[groups_begun] = chunks;
  return plan;
}

}  // namespace fabula
