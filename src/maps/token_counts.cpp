#include "maps/token_counts.hpp"

#include <algorithm>
#include <numeric>

namespace fabula::maps {

std::vector<std::uint64_t> token_counts(const text::TokenFile& file) {
  std::vector<std::uint64_t> counts(file.vocab_size());
  file.for_each_run(0, file.size(), [&](std::span<const std::uint32_t> tokens) {
    for (const std::uint32_t token : tokens) ++counts[token];
  });
  return counts;
}

std::vector<std::uint32_t> tokens_by_frequency(std::span<const std::uint64_t> counts) {
  std::vector<std::uint32_t> order(counts.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t left, std::uint32_t right) { return counts[left] > counts[right]; });
  return order;
}

}  // namespace fabula::maps
