#include "compress/clusters.hpp"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "base/fail.hpp"
#include "base/philox.hpp"
#include "compress/candidates.hpp"

namespace fabula::compress {
namespace {

constexpr std::int64_t kPointsAtOnce = 1024;

float weight_of(const Points& points, std::int64_t at) {
  return points.weights.empty() ? 1.0f : points.weights[static_cast<std::size_t>(at)];
}

// `wanted` different points, drawn in order without keeping a list of all (Fisher and Yates on a map of exchanges).
std::vector<float> drawn_points(const Points& points, std::int64_t wanted, std::uint64_t seed) {
  Philox random(seed);
  const std::int64_t count = points.count(), taken = std::min(wanted, count);
  std::unordered_map<std::int64_t, std::int64_t> moved;
  std::vector<float> result(static_cast<std::size_t>(wanted * points.dims));
  for (std::int64_t k = 0; k < taken; ++k) {
    const std::int64_t at = k + random.below(static_cast<std::uint32_t>(count - k));
    const auto found = moved.find(at), own = moved.find(k);
    const std::int64_t point = found == moved.end() ? at : found->second;
    moved[at] = own == moved.end() ? k : own->second;
    std::copy_n(points.values.begin() + point * points.dims, points.dims, result.begin() + k * points.dims);
  }
  return result;
}

// Fills `clusters` and each point's weighted squared distance; returns whether a point has another centre than before.
bool assign(const Points& points, Clusters& clusters, std::vector<float>& distances, const Work& work) {
  const Candidates candidates(clusters.centres, points.dims);
  const std::int64_t count = points.count();
  std::vector<char> changed(static_cast<std::size_t>((count + kPointsAtOnce - 1) / kPointsAtOnce), 0);
  for_each_block(work, Part::none(), count, kPointsAtOnce, [&](std::int64_t first, std::int64_t n) {
    for (std::int64_t i = first; i < first + n; ++i) {
      const float* const x = points.values.data() + i * points.dims;
      const auto at = static_cast<std::uint32_t>(candidates.best(x, candidates.half_squares().data(), 1).at);
      float squares = 0;
      for (std::int64_t d = 0; d < points.dims; ++d) {
        const float off = x[d] - candidates.entry(at)[d];
        squares += off * off;
      }
      distances[static_cast<std::size_t>(i)] = squares * weight_of(points, i);
      std::uint32_t& nearest = clusters.nearest[static_cast<std::size_t>(i)];
      if (nearest != at) changed[static_cast<std::size_t>(first / kPointsAtOnce)] = 1;
      nearest = at;
    }
  });
  clusters.squared = std::accumulate(distances.begin(), distances.end(), 0.0);
  return std::find(changed.begin(), changed.end(), 1) != changed.end();
}

// Centres of no weight take the furthest points, the first of equals.
void reseed(const Points& points, const std::vector<std::int64_t>& empty, const std::vector<float>& distances,
            std::vector<float>& centres) {
  if (empty.empty()) return;
  std::vector<std::int64_t> order(distances.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const std::size_t wanted = std::min(empty.size(), order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(wanted), order.end(),
                    [&](std::int64_t a, std::int64_t b) {
                      const float left = distances[static_cast<std::size_t>(a)],
                                  right = distances[static_cast<std::size_t>(b)];
                      return left != right ? left > right : a < b;
                    });
  for (std::size_t k = 0; k < wanted && distances[static_cast<std::size_t>(order[k])] > 0; ++k)
    std::copy_n(points.values.begin() + order[k] * points.dims, points.dims, centres.begin() + empty[k] * points.dims);
}

void move_centres(const Points& points, const std::vector<float>& distances, Clusters& clusters) {
  const auto dims = static_cast<std::size_t>(points.dims);
  std::vector<double> sums(clusters.centres.size()), weights(clusters.centres.size() / dims);
  for (std::size_t i = 0; i < clusters.nearest.size(); ++i) {
    const std::size_t k = clusters.nearest[i];
    const double weight = weight_of(points, static_cast<std::int64_t>(i));
    weights[k] += weight;
    for (std::size_t d = 0; d < dims; ++d) sums[k * dims + d] += weight * points.values[i * dims + d];
  }
  std::vector<std::int64_t> empty;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    if (weights[k] == 0) {
      empty.push_back(static_cast<std::int64_t>(k));
      continue;
    }
    for (std::size_t d = 0; d < dims; ++d)
      clusters.centres[k * dims + d] = static_cast<float>(sums[k * dims + d] / weights[k]);
  }
  reseed(points, empty, distances, clusters.centres);
}

}  // namespace

Clusters find_clusters(const Points& points, const ClusterOptions& options, const Work& work, const Part& part) {
  const std::int64_t count = points.count();
  ensure(count > 0 && count < INT32_MAX && options.clusters > 0 && count * points.dims == std::ssize(points.values) &&
             (points.weights.empty() || std::ssize(points.weights) == count),
         "{} clusters of {} numbers in points of {} with {} weights", options.clusters, points.values.size(),
         points.dims, points.weights.size());
  Clusters clusters{.centres = drawn_points(points, options.clusters, options.seed),
                    .nearest = std::vector<std::uint32_t>(static_cast<std::size_t>(count), UINT32_MAX)};
  std::vector<float> distances(static_cast<std::size_t>(count));
  for (int round = 0; assign(points, clusters, distances, work) && round < options.most_rounds; ++round) {
    move_centres(points, distances, clusters);
    report(work, part.at(static_cast<double>(round + 1) / options.most_rounds));
  }
  return clusters;
}

ResidualStages residual_stages(std::vector<float>& points, std::int64_t dims, std::span<const float> weights,
                               int stages, const ClusterOptions& options, const Work& work, const Part& part) {
  ResidualStages result;
  const std::size_t count = points.size() / static_cast<std::size_t>(dims), step = static_cast<std::size_t>(dims);
  result.codes.resize(count * static_cast<std::size_t>(stages));
  for (int stage = 0; stage < stages; ++stage) {
    ClusterOptions own = options;
    own.seed += static_cast<std::uint64_t>(stage);
    const Clusters found = find_clusters({points, dims, weights}, own, work, part.of(stage, stages));
    result.centres.insert(result.centres.end(), found.centres.begin(), found.centres.end());
    for (std::size_t i = 0; i < count; ++i) {
      result.codes[i * static_cast<std::size_t>(stages) + static_cast<std::size_t>(stage)] = found.nearest[i];
      for (std::size_t d = 0; d < step; ++d) points[i * step + d] -= found.centres[found.nearest[i] * step + d];
    }
  }
  return result;
}

}  // namespace fabula::compress
