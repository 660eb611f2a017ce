#include "maps/balanced_clusters.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "base/parallel.hpp"
#include "base/philox.hpp"
#include "maps/linear_algebra.hpp"

namespace fabula::maps {
namespace {

constexpr int kRounds = 30;
constexpr std::size_t kRowsAtOnce = 256;
constexpr double kInertia = 1e-6;  // of the old centre in the new one: a cluster that has lost its tokens stays

struct Rows {
  std::span<const float> values;
  std::size_t dims;

  std::size_t count() const { return values.size() / dims; }
  std::span<const float> range(std::size_t first, std::size_t n) const {
    return values.subspan(first * dims, n * dims);
  }
};

// The nearest centre of each row, the first of equals. [n]
std::vector<std::uint32_t> nearest_centres(const Rows& rows, const Rows& centres, std::size_t threads) {
  std::vector<std::uint32_t> nearest(rows.count());
  const std::size_t blocks = (rows.count() + kRowsAtOnce - 1) / kRowsAtOnce;
  parallel_for(threads, blocks, [&](std::size_t, std::size_t block) {
    const std::size_t first = block * kRowsAtOnce, n = std::min(kRowsAtOnce, rows.count() - first);
    std::vector<float> scores(n * centres.count());
    dot_products(rows.range(first, n), centres.values, static_cast<std::int64_t>(rows.dims), scores);
    for (std::size_t i = 0; i < n; ++i) {
      const auto begin = scores.begin() + static_cast<std::ptrdiff_t>(i * centres.count());
      const auto best = std::max_element(begin, begin + static_cast<std::ptrdiff_t>(centres.count()));
      nearest[first + i] = static_cast<std::uint32_t>(best - begin);
    }
  });
  return nearest;
}

// k-means++ (Arthur and Vassilvitskii 2007) with weights: each next centre is a row drawn in proportion to its weight
// times its distance (1 - cosine) from the centres so far.
std::vector<float> first_centres(const Rows& rows, std::span<const double> weights, std::size_t k, std::uint64_t seed) {
  Philox random(seed);
  std::vector<float> centres, scores(rows.count());
  std::vector<double> distances(rows.count(), 1);
  while (centres.size() < k * rows.dims) {
    double total = 0;
    for (std::size_t i = 0; i < rows.count(); ++i) total += weights[i] * distances[i];
    double left = random.uniform() * total;
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < rows.count(); ++i) {
      const double share = weights[i] * distances[i];
      if (share <= 0) continue;
      chosen = i;
      left -= share;
      if (left < 0) break;
    }
    const std::span<const float> centre = rows.range(chosen, 1);
    centres.insert(centres.end(), centre.begin(), centre.end());
    dot_products(rows.values, centre, static_cast<std::int64_t>(rows.dims), scores);
    for (std::size_t i = 0; i < rows.count(); ++i)
      distances[i] = i == chosen ? 0 : std::clamp(1 - double{scores[i]}, 0.0, distances[i]);
  }
  return centres;
}

// The direction of the weighted sum of each centre's rows.
void move_centres(const Rows& rows, std::span<const std::uint32_t> nearest, std::span<const double> weights,
                  std::vector<float>& centres) {
  std::vector<double> sums(centres.begin(), centres.end());
  for (double& sum : sums) sum *= kInertia;
  for (std::size_t i = 0; i < rows.count(); ++i) {
    double* const sum = sums.data() + nearest[i] * rows.dims;
    const std::span<const float> row = rows.range(i, 1);
    for (std::size_t d = 0; d < rows.dims; ++d) sum[d] += weights[i] * row[d];
  }
  for (std::size_t at = 0; at < sums.size(); at += rows.dims) {
    double squares = 0;
    for (std::size_t d = 0; d < rows.dims; ++d) squares += sums[at + d] * sums[at + d];
    const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
    for (std::size_t d = 0; d < rows.dims; ++d) centres[at + d] = static_cast<float>(sums[at + d] * scale);
  }
}

}  // namespace

std::vector<float> cluster_centres(const TokenVectors& vectors, std::span<const std::uint64_t> counts,
                                   std::int64_t clusters, std::uint64_t seed, std::size_t threads) {
  const Rows rows{vectors.rows, static_cast<std::size_t>(vectors.dims)};
  ensure(rows.count() == vectors.tokens.size() && clusters > 0, "{} vectors of {} tokens for {} clusters", rows.count(),
         vectors.tokens.size(), clusters);
  const std::size_t n = rows.count(), k = std::min(n, static_cast<std::size_t>(clusters));
  std::vector<double> weights(n);
  for (std::size_t i = 0; i < n; ++i) weights[i] = std::sqrt(static_cast<double>(counts[vectors.tokens[i]]));

  std::vector<float> centres = first_centres(rows, weights, k, seed);
  std::vector<std::uint32_t> before;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::uint32_t> nearest = nearest_centres(rows, {centres, rows.dims}, threads);
    if (nearest == before) break;
    move_centres(rows, nearest, weights, centres);
    before = std::move(nearest);
  }
  return centres;
}

std::vector<std::vector<std::uint32_t>> assign_balanced(const TokenVectors& vectors, std::span<const float> centres,
                                                        std::int64_t room,
                                                        const std::function<bool(std::uint32_t token)>& takes) {
  const Rows rows{vectors.rows, static_cast<std::size_t>(vectors.dims)};
  const std::size_t k = centres.size() / rows.dims;
  std::vector<std::vector<std::uint32_t>> members(k);
  std::vector<float> scores;
  for (std::size_t first = 0; first < rows.count(); first += kRowsAtOnce) {
    const std::size_t n = std::min(kRowsAtOnce, rows.count() - first);
    scores.resize(n * k);
    dot_products(rows.range(first, n), centres, vectors.dims, scores);
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint32_t token = vectors.tokens[first + i];
      if (!takes(token)) continue;
      std::size_t best = k;
      for (std::size_t c = 0; c < k; ++c) {
        const bool open = members[c].size() < static_cast<std::size_t>(room);
        if (open && (best == k || scores[i * k + c] > scores[i * k + best])) best = c;
      }
      ensure(best < k, "{} clusters of {} tokens have no room for token {}", k, room, token);
      members[best].push_back(token);
    }
  }
  return members;
}

}  // namespace fabula::maps
