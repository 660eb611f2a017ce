#include "base/group_plan.hpp"

#include <algorithm>

#include "base/ceil_div.hpp"
#include "base/fail.hpp"
#include "base/segments.hpp"

namespace fabula {

GroupRounds::GroupRounds(std::int64_t positions, std::int64_t slots) {
  constexpr std::int64_t kMostVec4s = 1 << 22, kLeastOfPosition = 64;
  if (slots == 0) return;
  if (slots > kMaxRaggedSlots)
    fail(ErrorCode::kInvalidArgument, "a group of {} tokens; there may be {} at most", slots, kMaxRaggedSlots);
  const std::int64_t row = ceil_div(slots, 4), worst = positions * row, of_chunk = kSegmentChunk * row;
  // A round ends before the chunk that it has no room for.
  const std::int64_t filled = std::min(positions * std::max(ceil_div(row, 4), kLeastOfPosition), kMostVec4s - of_chunk);
  const bool one = worst <= std::min(filled + of_chunk, kMostVec4s);
  vec4s = one ? worst : filled + of_chunk;
  count = one ? 1 : ceil_div(worst, filled);
}

// One key more than groups: the positions that don't count, which come last.
GroupPlanLayout::GroupPlanLayout(std::int64_t position_count, std::int64_t group_count, std::int64_t slots)
    : positions(position_count),
      groups(group_count),
      chunks(SegmentCapacity{positions, groups + 1}.chunks()),
      entries(4 * chunks),
      group_chunks(entries + 2 * positions),
      places(group_chunks + groups + 1),
      round_chunks(places + (slots > 0 ? chunks : 0)),
      rounds(positions, slots),
      words(round_chunks + (slots > 0 ? rounds.count + 1 : 0)) {}

namespace {

/// Places and rounds of the chunks that stand in the plan.
void place_chunks(const GroupPlanLayout& layout, std::int64_t used, std::vector<std::uint32_t>& plan) {
  std::int64_t at = 0, round = 0;
  for (std::int64_t c = 0; c < used; ++c) {
    const std::uint32_t* const chunk = plan.data() + 4 * c;
    const std::int64_t size = chunk[2] * ceil_div(std::int64_t{chunk[3]}, 4);
    if (at + size > layout.rounds.vec4s) {
      plan[static_cast<std::size_t>(layout.round_chunks + ++round)] = static_cast<std::uint32_t>(c);
      at = 0;
    }
    plan[static_cast<std::size_t>(layout.places + c)] = static_cast<std::uint32_t>(at);
    at += size;
  }
  ensure(round < layout.rounds.count, "a batch of {} rounds where {} are the most", round + 1, layout.rounds.count);
  while (round++ < layout.rounds.count)
    plan[static_cast<std::size_t>(layout.round_chunks + round)] = static_cast<std::uint32_t>(used);
}

}  // namespace

std::vector<std::uint32_t> make_group_plan(std::span<const GroupTarget> targets, std::uint32_t groups,
                                           std::uint32_t slots) {
  const GroupPlanLayout layout(static_cast<std::int64_t>(targets.size()), groups, slots);
  std::vector<std::uint32_t> keys(targets.size());
  for (std::size_t n = 0; n < targets.size(); ++n) {
    const GroupTarget& target = targets[n];
    const bool counts = target.group != kIgnoredLabel;
    if (counts && (target.group >= groups || target.slot >= target.slots)) {
      fail(ErrorCode::kInvalidArgument, "position {}: group {} slot {}, expected a group below {} and a slot below {}",
           n, target.group, target.slot, groups, target.slots);
    }
    if (counts && slots > 0 && target.slots > slots)
      fail(ErrorCode::kInvalidArgument, "position {}: a group of {} slots, the largest has {}", n, target.slots, slots);
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
  if (slots > 0) place_chunks(layout, chunks, plan);
  return plan;
}

}  // namespace fabula
