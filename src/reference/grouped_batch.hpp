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

/// Calls visit(position, group, real slots, the label's slot) for every position of a plan that is in a group, in the
/// plan's order.
template <class Visit>
void for_each_grouped(const std::vector<std::uint32_t>& plan, const GroupPlanLayout& layout, Visit visit) {
  for (std::int64_t c = 0; c < layout.chunks; ++c) {
    const std::uint32_t* chunk = plan.data() + 4 * c;
    if (chunk[0] == kIgnoredLabel) continue;
    for (std::uint32_t i = 0; i < chunk[2]; ++i) {
      const std::uint32_t* entry = plan.data() + layout.entries + 2 * (chunk[1] + i);
      visit(std::int64_t(entry[0]), std::int64_t(chunk[0]), std::int64_t(chunk[3]), std::int64_t(entry[1]));
    }
  }
}

/// Of z = scale[g] u + shift[g]: d_u, d_scale and d_shift into the call's outputs 0, 1 and 2. u and scale are its
/// inputs 0 and 1; d_z(position, group, slot, the label's slot).
template <class T, class DZ>
void group_affine_gradients(graph::RefCall<T>& call, const std::vector<std::uint32_t>& plan, DZ d_z) {
  const auto &u = *call.in[0], &scale = *call.in[1];
  std::vector<double> d_scale(scale.f.size()), d_shift(scale.f.size());
  for_each_grouped(plan, {u.shape.rows, scale.shape.rows},
                   [&](std::int64_t n, std::int64_t group, std::int64_t real_slots, std::int64_t label) {
                     for (std::int64_t s = 0; s < real_slots; ++s) {
                       const double d = d_z(n, group, s, label);
                       const auto at = static_cast<std::size_t>(group * scale.shape.cols + s);
                       call.out[0]->at(n, s) = static_cast<T>(d * scale.at(group, s));
                       d_scale[at] += d * u.at(n, s);
                       d_shift[at] += d;
                     }
                   });
  for (std::size_t i = 0; i < d_scale.size(); ++i) {
    call.out[1]->f[i] = static_cast<T>(d_scale[i]);
    call.out[2]->f[i] = static_cast<T>(d_shift[i]);
  }
}

/// The words of a targets input.
inline std::vector<std::uint32_t> target_words(std::span<const GroupTarget> targets) {
  std::vector<std::uint32_t> words;
  for (const GroupTarget& target : targets) words.insert(words.end(), {target.group, target.slot, target.slots, 0});
  return words;
}

}  // namespace fabula::reference
