#include "train/gradient_tree.hpp"

#include <algorithm>
#include <bit>

namespace fabula::train {

// Like a binary counter: sums of equally many micro-batches are joined as soon as there are two of them. A pair needs
// no sum that is held, nor does a last one without a neighbour.
std::vector<TreeStep> gradient_tree(std::int64_t count) {
  std::vector<TreeStep> steps(static_cast<std::size_t>(count));
  std::int64_t held = 0;
  for (std::int64_t m = 0; m < count; ++m) {
    TreeStep& step = steps[static_cast<std::size_t>(m)];
    const bool last = m + 1 == count;
    if (m % 2 == 0 && (m == 0 || !last)) {
      step.overwrite = true;
      step.hold = m > 0;
      held += step.hold ? 1 : 0;
    }
    if (m % 2 == 1) step.add = std::countr_one(static_cast<std::uint64_t>(m / 2));
    if (last) step.add = held;
    held -= step.add;
  }
  return steps;
}

std::int64_t held_sums(std::int64_t count) {
  std::int64_t held = 0, most = 0;
  for (const TreeStep& step : gradient_tree(count)) {
    held += step.hold ? 1 : 0;
    most = std::max(most, held);
    held -= step.add;
  }
  return most;
}

}  // namespace fabula::train
