#include "base/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace fabula {

std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);  // distances of left's prefix to every prefix of right
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i] != right[j] ? 1 : 0);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string nearest(std::string_view text, std::span<const std::string> candidates) {
  constexpr std::size_t kLongestWorthComparing = 200;  // a hostile key of a megabyte is no slip of the finger
  if (text.size() > kLongestWorthComparing) return {};
  std::string best;
  std::size_t best_distance = 0;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(text, candidate);
    if (2 * distance > std::max(text.size(), candidate.size())) continue;
    if (best.empty() || distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view text, std::span<const std::string> candidates) {
  const std::string best = nearest(text, candidates);
  return best.empty() ? "" : "; did you mean \"" + best + "\"?";
}

}  // namespace fabula
