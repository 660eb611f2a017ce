#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/fail.hpp"

namespace fabula {

/// Median of a list that is not empty.
inline double median(std::vector<double> values) {
  ensure(!values.empty(), "the median of nothing");
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

}  // namespace fabula
