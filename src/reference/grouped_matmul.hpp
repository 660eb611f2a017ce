#pragma once
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "reference/grouped_batch.hpp"

// What the grouped matrix products' references and cases share.
namespace fabula::reference {

struct GroupedCase {
  std::string name;
  std::int64_t positions, depth, groups, slots;
  std::int64_t spare_rows = 0;  ///< of weight, that no slot names
  bool shift = true, ignored = false;

  std::int64_t weight_rows() const { return groups * slots + spare_rows; }
  graph::OpCase::Input rows_input() const { return {.shape = {1, groups * slots}, .dtype = graph::DType::kU32}; }
  graph::OpCase::Input plan_input() const {
    return {.shape = {1, GroupPlanLayout(positions, groups).words}, .dtype = graph::DType::kU32};
  }
  /// Weight rows in random order, nonsense in the phantom slots; and a plan.
  void fill(std::vector<std::uint32_t>& rows, std::vector<std::uint32_t>& plan, Philox& random) const {
    auto targets = random_targets(positions, std::uint32_t(groups), std::uint32_t(slots), random);
    if (ignored) targets.assign(targets.size(), {kIgnoredLabel, 0, 0});
    plan = make_group_plan(targets, std::uint32_t(groups));
    std::vector<std::uint32_t> order(static_cast<std::size_t>(weight_rows()));
    std::iota(order.begin(), order.end(), 0u);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(std::uint32_t(i))]);
    for (std::int64_t at = 0; at < groups * slots; ++at) {
      const std::int64_t real_slots = std::max(slots - std::min(slots, at / slots % 3), std::int64_t(1));
      rows[std::size_t(at)] = at % slots < real_slots ? order[std::size_t(at)] : 0xFFFFFFF0u + std::uint32_t(at % 3);
    }
  }
  /// Not-a-number in the elements of d_z that no sum may contain: phantom slots, positions in no group.
  void poison(graph::RefTensor<double>& d_z, const std::vector<std::uint32_t>& plan) const {
    graph::RefTensor<double> kept(d_z.shape, graph::DType::kF32);
    std::fill(kept.f.begin(), kept.f.end(), NAN);
    for_each_grouped(plan, {positions, groups},
                     [&](std::int64_t n, std::int64_t, std::int64_t real_slots, std::int64_t) {
                       for (std::int64_t s = 0; s < real_slots; ++s) kept.at(n, s) = d_z.at(n, s);
                     });
    d_z = kept;
  }
};

inline std::vector<GroupedCase> grouped_matmul_case_list() {
  return {{"odd_37x13x5x11", 37, 13, 5, 11, 3},
          {"one", 1, 1, 1, 1},
          {"narrow_70x3x5x7", 70, 3, 5, 7, 0, false},
          {"tile_200x64x5x65", 200, 64, 5, 65, 1},
          {"one_slot_66x33x9x1", 66, 33, 9, 1},
          {"nothing_counts_9x5x3x4", 9, 5, 3, 4, 0, true, true},
          {"windows_1700x18x2x9", 1700, 18, 2, 9, 5},
          {"one_group_1300x100x1x70", 1300, 100, 1, 70},
          {"paper_300x100x224x225", 300, 100, 224, 225, 77},
          {"wide_6x40x3x1500", 6, 40, 3, 1500}};
}

}  // namespace fabula::reference
