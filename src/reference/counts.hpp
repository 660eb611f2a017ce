#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "graph/reference.hpp"

// How many columns of a row exist, for the losses over logits.
namespace fabula::reference {

/// Of `columns`, those of row n that exist: all without `counts`.
template <class T>
std::int64_t existing_columns(std::int64_t columns, const graph::RefTensor<T>* counts, std::int64_t n) {
  return counts ? std::min<std::int64_t>(columns, counts->u[static_cast<std::size_t>(n)]) : columns;
}

/// Counts for checks: beyond every label, up to `columns` at random; every seventh more than there are.
inline void fill_counts(const std::vector<std::uint32_t>& labels, std::vector<std::uint32_t>& counts,
                        std::int64_t columns, Philox& random) {
  for (std::size_t n = 0; n < labels.size(); ++n) {
    const std::uint32_t least = labels[n] < columns ? labels[n] + 1 : 0;
    counts[n] = least + random.below(static_cast<std::uint32_t>(columns) - least + 1);
    if (n % 7 == 6) counts[n] = static_cast<std::uint32_t>(columns) + 5;
  }
}

}  // namespace fabula::reference
