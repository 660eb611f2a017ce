#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "compress/steps.hpp"

namespace fabula::compress {

struct Points {
  std::span<const float> values;  ///< [count, dims]
  std::int64_t dims = 0;
  std::span<const float> weights = {};  ///< [count], 0 or more; without them every point counts alike

  std::int64_t count() const { return std::ssize(values) / dims; }
};

struct Clusters {
  std::vector<float> centres = {};          ///< [clusters, dims]
  std::vector<std::uint32_t> nearest = {};  ///< centre of each point, the first of equals [count]
  double squared = 0;                       ///< weighted sum of squared distances
};

struct ClusterOptions {
  std::int64_t clusters = 256;
  int most_rounds = 100;
  std::uint64_t seed = 0;
};

/// k-means from points drawn with the seed, until no point changes its centre. A centre that has lost its points takes
/// the one that is then furthest from its own. With fewer points than clusters the last centres are zero.
Clusters find_clusters(const Points& points, const ClusterOptions& options, const Work& work = {},
                       const Part& part = Part::none());

/// Stage after stage of find_clusters, each for what the stages before have left. Numbers of `points` become what
/// remains.
struct ResidualStages {
  std::vector<float> centres = {};        ///< [stages, clusters, dims]
  std::vector<std::uint32_t> codes = {};  ///< [count, stages]
};
ResidualStages residual_stages(std::vector<float>& points, std::int64_t dims, std::span<const float> weights,
                               int stages, const ClusterOptions& options, const Work& work = {},
                               const Part& part = Part::none());

}  // namespace fabula::compress
