#pragma once
#include <algorithm>
#include <span>
#include <vector>

#include "base/group_plan.hpp"
#include "graph/reference.hpp"

namespace fabula::reference {

/// Random targets for checks: a group of the first half in three of four cases (so that chunks fill up and some groups
/// stay empty), every fifth position ignored; a group g of `groups` has slots - g % 3 real slots, at least one.
inline std::vector<GroupTarget> random_targets(std::int64_t positions, std::uint32_t groups, std::uint32_t slots,
                                               Philox& random) {
  std::vector<GroupTarget> targets;
  for (std::int64_t n = 0; n < positions; ++n) {
    const std::uint32_t group = random.below(4) ? random.below((groups + 1) / 2) : random.below(groups);
    const std::uint32_t real_slots = std::max(slots - std::min(slots, group % 3), 1u);
    if (n % 5 == 3)
      targets.push_back({kIgnoredLabel, 0, 0});
    else
      targets.push_back({group, random.below(real_slots), real_slots});
  }
  return targets;
}

/// The words of a targets input.
inline std::vector<std::uint32_t> target_words(std::span<const GroupTarget> targets) {
  std::vector<std::uint32_t> words;
  for (const GroupTarget& target : targets) words.insert(words.end(), {target.group, target.slot, target.slots, 0});
  return words;
}

}  // namespace fabula::reference
