// How likely a full head's groups are, and the one product a group that says it best.
#include "convert/first_level.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/philox.hpp"
#include "convert/minimise.hpp"

namespace fabula::convert {
namespace {

constexpr std::int64_t kHidden = 6, kTokens = 23;

std::vector<float> random_numbers(std::uint64_t seed, std::size_t count, double scale) {
  Philox random(seed);
  std::vector<float> numbers(count);
  for (float& number : numbers) number = static_cast<float>(scale * random.normal());
  return numbers;
}

OutputRows some_rows(bool biased) {
  OutputRows rows{kHidden, random_numbers(1, kTokens * kHidden, 0.7), {}};
  if (biased) rows.bias = random_numbers(2, kTokens, 1);
  return rows;
}

/// A shortlist of three, groups of 4, 1, 6 and 9.
TokenMap some_map(std::size_t shortlist = 3) {
  std::vector<std::uint32_t> order(kTokens);
  std::iota(order.begin(), order.end(), 0u);
  std::swap(order[0], order[20]);
  std::swap(order[7], order[15]);
  TokenMap map;
  map.shortlist.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shortlist));
  auto at = order.begin() + static_cast<std::ptrdiff_t>(shortlist);
  for (const std::ptrdiff_t size : {4, 1, 6}) {
    map.groups.emplace_back(at, at + size);
    at += size;
  }
  map.groups.emplace_back(at, order.end());
  return map;
}

/// By its definition: log-sum-exp over tokens of h . w + b.
double mass(const OutputRows& rows, const float* h, const std::vector<std::uint32_t>& tokens) {
  double sum = 0;
  for (const std::uint32_t token : tokens) {
    double z = rows.bias.empty() ? 0 : rows.bias[token];
    for (std::int64_t d = 0; d < kHidden; ++d) z += double{h[d]} * rows.weight[std::size_t(token * kHidden + d)];
    sum += std::exp(z);
  }
  return std::log(sum);
}

TEST(FirstLevel, MassesAreThoseOfTheTokens) {
  for (const bool biased : {false, true}) {
    const OutputRows rows = some_rows(biased);
    const TokenMap map = some_map();
    const GroupMasses masses = group_masses(random_numbers(3, 70 * kHidden, 1), rows, map, 2);
    ASSERT_EQ(masses.positions, 70);
    ASSERT_EQ(masses.groups, 4);
    for (std::int64_t n = 0; n < 70; ++n) {
      const float* h = masses.vectors.data() + n * kHidden;
      EXPECT_NEAR(masses.shortlist[std::size_t(n)], mass(rows, h, map.shortlist), 1e-5);
      for (std::size_t g = 0; g < 4; ++g)
        EXPECT_NEAR(masses.scores[std::size_t(n) * 4 + g], mass(rows, h, map.groups[g]), 1e-5) << n << " " << g;
    }
    EXPECT_EQ(group_masses(masses.vectors, rows, map, 1).scores, masses.scores);
  }
}

TEST(FirstLevel, TheCostIsTheDivergence) {
  for (const std::size_t shortlist : {std::size_t{0}, std::size_t{3}}) {
    const OutputRows rows = some_rows(true);
    const TokenMap map = some_map(shortlist);
    const GroupMasses masses = group_masses(random_numbers(3, 20 * kHidden, 1), rows, map);
    const std::size_t G = map.groups.size();
    const GroupScores scores{random_numbers(4, G * kHidden, 0.3), random_numbers(5, G, 1)};
    double expected = 0;
    for (std::size_t n = 0; n < 20; ++n) {
      const float* h = masses.vectors.data() + n * kHidden;
      std::vector<double> exact, own;  // unnormalised, by class; the shortlist's tokens as one class
      if (shortlist > 0) exact.push_back(std::exp(mass(rows, h, map.shortlist))), own.push_back(exact.back());
      for (std::size_t g = 0; g < G; ++g) {
        double s = scores.bias[g];
        for (std::size_t d = 0; d < kHidden; ++d) s += double{h[d]} * scores.vectors[g * kHidden + d];
        exact.push_back(std::exp(mass(rows, h, map.groups[g])));
        own.push_back(std::exp(s));
      }
      const double p = std::accumulate(exact.begin(), exact.end(), 0.0),
                   q = std::accumulate(own.begin(), own.end(), 0.0);
      for (std::size_t c = 0; c < exact.size(); ++c) expected += exact[c] / p * std::log(exact[c] / p / (own[c] / q));
    }
    EXPECT_NEAR(cost_of(scores, masses), expected / 20, 1e-5 * expected);
  }
}

TEST(FirstLevel, AGroupOfOneTokenIsExact) {
  const OutputRows rows = some_rows(true);
  TokenMap map;
  for (std::uint32_t token = 0; token < kTokens; ++token)
    if (token < 3)
      map.shortlist.push_back(token);
    else
      map.groups.push_back({token});
  const std::vector<std::uint64_t> counts(kTokens, 1);
  const GroupMasses seen = group_masses(random_numbers(6, 200 * kHidden, 1), rows, map),
                    unseen = group_masses(random_numbers(7, 50 * kHidden, 1), rows, map);
  const FittedScores fitted = fit_scores(seen, unseen, rows, map, counts);
  EXPECT_NEAR(fitted.tried[fitted.best].cost, 0, 1e-6);
  for (std::size_t g = 0; g < map.groups.size(); ++g) {
    EXPECT_NEAR(fitted.scores.bias[g], rows.bias[map.groups[g][0]], 1e-4);
    for (std::size_t d = 0; d < kHidden; ++d)
      EXPECT_NEAR(fitted.scores.vectors[g * kHidden + d], rows.weight[map.groups[g][0] * kHidden + d], 1e-4);
  }
}

TEST(FirstLevel, TheFitIsTheBestOfItsWays) {
  const OutputRows rows = some_rows(true);
  const TokenMap map = some_map();
  std::vector<std::uint64_t> counts(kTokens);
  std::iota(counts.begin(), counts.end(), 0u);
  // Hidden vectors around a mean that is not zero, some directions much longer than others.
  const auto hidden = [](std::uint64_t seed, std::size_t positions) {
    std::vector<float> h = random_numbers(seed, positions * kHidden, 1);
    for (std::size_t i = 0; i < h.size(); ++i) h[i] = h[i] * (i % kHidden == 2 ? 2.5f : 0.5f) + 0.4f;
    return h;
  };
  const GroupMasses seen = group_masses(hidden(8, 1000), rows, map), unseen = group_masses(hidden(9, 300), rows, map);
  const FittedScores fitted = fit_scores(seen, unseen, rows, map, counts);
  ASSERT_EQ(fitted.tried.size(), 4u);
  EXPECT_EQ(fitted.tried[3].way, "fit");
  EXPECT_EQ(fitted.best, 3u);
  for (const TriedScores& tried : fitted.tried) {
    EXPECT_GT(tried.cost, 0) << tried.way;
    EXPECT_LE(fitted.tried[3].cost, tried.cost) << tried.way;
  }
  EXPECT_LT(fitted.tried[3].cost, 0.8 * fitted.tried[0].cost);
  EXPECT_DOUBLE_EQ(cost_of(fitted.scores, unseen), fitted.tried[3].cost);
}

TEST(Minimise, AWarpedValley) {
  // Rosenbrock's, whose least value 0 is at (1, 1).
  const auto cost = [](std::span<const double> x, std::span<double> d) {
    const double slip = x[1] - x[0] * x[0];
    d[0] = -400 * x[0] * slip - 2 * (1 - x[0]);
    d[1] = 200 * slip;
    return 100 * slip * slip + (1 - x[0]) * (1 - x[0]);
  };
  int steps = 0;
  const std::vector<double> x = minimise(cost, {-1.2, 1}, 200, [&](int step, std::span<const double>) {
    steps = step;
    return true;
  });
  EXPECT_NEAR(x[0], 1, 1e-6);
  EXPECT_NEAR(x[1], 1, 1e-6);
  EXPECT_LT(steps, 100);
  const std::vector<double> one = minimise(cost, {-1.2, 1}, 200, [](int, std::span<const double>) { return false; });
  EXPECT_NE(one, (std::vector<double>{-1.2, 1}));
  EXPECT_EQ(minimise(cost, {1, 1}, 10), (std::vector<double>{1, 1}));
}

}  // namespace
}  // namespace fabula::convert
