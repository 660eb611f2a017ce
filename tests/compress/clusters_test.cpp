#include "compress/clusters.hpp"

#include <gtest/gtest.h>

#include "base/philox.hpp"
#include "compress/candidates.hpp"

namespace fabula::compress {
namespace {

// Whole numbers, so that scores are exact and equals are equal.
std::vector<float> whole_numbers(std::int64_t count, std::uint64_t seed) {
  Philox random(seed);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(random.below(9)) - 4);
  return values;
}

double distance(std::span<const float> left, std::span<const float> right) {
  double sum = 0;
  for (std::size_t d = 0; d < left.size(); ++d) sum += (double{left[d]} - right[d]) * (double{left[d]} - right[d]);
  return sum;
}

TEST(Candidates, TheBestIsTheFirstOfTheNearest) {
  for (const std::size_t dims : {1, 2, 4, 8, 10})
    for (const std::size_t count : {1, 3, 16, 17, 256}) {
      const std::vector<float> entries = whole_numbers(static_cast<std::int64_t>(count * dims), 31),
                               points = whole_numbers(static_cast<std::int64_t>(20 * dims), 32);
      const Candidates candidates(entries, static_cast<std::int64_t>(dims));
      std::vector<float> scores(static_cast<std::size_t>(candidates.padded()));
      for (std::size_t i = 0; i < 20; ++i) {
        const std::span<const float> x = std::span(points).subspan(i * dims, dims);
        std::size_t nearest = 0;
        for (std::size_t k = 1; k < count; ++k)
          if (distance(x, std::span(entries).subspan(k * dims, dims)) <
              distance(x, std::span(entries).subspan(nearest * dims, dims)))
            nearest = k;
        const Candidates::Best best = candidates.best(x.data(), candidates.half_squares().data(), 1);
        EXPECT_EQ(best.at, static_cast<std::int64_t>(nearest)) << dims << " dims, " << count;
        candidates.scores(x.data(), candidates.half_squares().data(), 1, scores.data());
        for (std::size_t k = 0; k < count; ++k) {
          double expected = 0;
          for (std::size_t d = 0; d < dims; ++d)
            expected += x[d] * entries[k * dims + d] - entries[k * dims + d] * entries[k * dims + d] / 2;
          EXPECT_EQ(scores[k], expected);
        }
        EXPECT_EQ(scores[nearest], best.score);
      }
    }
}

TEST(Clusters, EveryPointHasTheNearestCentreAndEveryCentreIsTheMean) {
  const std::vector<float> values = whole_numbers(4 * 500, 33);
  std::vector<float> weights;
  for (std::size_t i = 0; i < 500; ++i) weights.push_back(static_cast<float>(i % 5));
  const Points points{values, 4, weights};
  const Clusters found = find_clusters(points, {.clusters = 20, .most_rounds = 1000, .seed = 1});
  std::vector<double> sums(80), counts(20);
  double squared = 0;
  for (std::size_t i = 0; i < 500; ++i) {
    const std::size_t k = found.nearest[i];
    counts[k] += weights[i];
    for (std::size_t d = 0; d < 4; ++d) sums[k * 4 + d] += weights[i] * values[i * 4 + d];
    squared += weights[i] * distance(points.values.subspan(i * 4, 4), std::span(found.centres).subspan(k * 4, 4));
  }
  for (std::size_t k = 0; k < 20; ++k)
    for (std::size_t d = 0; d < 4; ++d)
      if (counts[k] > 0) {
        EXPECT_FLOAT_EQ(found.centres[k * 4 + d], static_cast<float>(sums[k * 4 + d] / counts[k]));
      }
  EXPECT_NEAR(found.squared, squared, squared * 1e-5);
}

// Two far apart, many at one place: drawn centres there are empty but for the first, and go where they are needed.
TEST(Clusters, EmptyOnesTakeTheFurthestPoints) {
  std::vector<float> values(100, 1.0f);
  values.push_back(50);
  values.push_back(-70);
  const Clusters found = find_clusters({values, 1}, {.clusters = 3, .seed = 3});
  EXPECT_EQ(found.squared, 0);
}

TEST(Clusters, MoreClustersThanPoints) {
  const std::vector<float> values = {3, -1, 2};
  const Clusters found = find_clusters({values, 1}, {.clusters = 8});
  EXPECT_EQ(found.squared, 0);
  EXPECT_EQ(found.centres.size(), 8);
}

TEST(Clusters, SeedDecidesAndThreadsDoNot) {
  const std::vector<float> values = whole_numbers(8 * 3000, 34);
  const ClusterOptions options{.clusters = 64, .seed = 7};
  const Clusters one = find_clusters({values, 8}, options, {.threads = 1}),
                 three = find_clusters({values, 8}, options, {.threads = 3});
  EXPECT_EQ(one.centres, three.centres);
  EXPECT_EQ(one.nearest, three.nearest);
  EXPECT_NE(one.centres, find_clusters({values, 8}, {.clusters = 64, .seed = 8}).centres);
}

TEST(Clusters, StagesEncodeWhatIsLeft) {
  const std::vector<float> values = whole_numbers(4 * 300, 35);
  std::vector<float> left = values;
  const ResidualStages stages = residual_stages(left, 4, {}, 3, {.clusters = 16, .seed = 2});
  double squares = 0, remaining = 0;
  for (std::size_t i = 0; i < 300; ++i)
    for (std::size_t d = 0; d < 4; ++d) {
      float sum = values[i * 4 + d];
      for (std::size_t s = 0; s < 3; ++s) sum -= stages.centres[(s * 16 + stages.codes[i * 3 + s]) * 4 + d];
      EXPECT_EQ(left[i * 4 + d], sum);
      squares += values[i * 4 + d] * values[i * 4 + d];
      remaining += sum * sum;
    }
  EXPECT_LT(remaining, squares / 2);
}

}  // namespace
}  // namespace fabula::compress
