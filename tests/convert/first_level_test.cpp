// How likely a full head's groups are, and the one product a group that says it best.
#include "convert/first_level.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/philox.hpp"
#include "convert/minimise.hpp"
#include "convert/narrow_rows.hpp"

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

TEST(FirstLevel, RowsAsReadAreAsNearAsTheirLogits) {
  const OutputRows rows = some_rows(true);
  std::vector<float> h = random_numbers(10, 500 * kHidden, 1);
  for (std::size_t i = 0; i < h.size(); ++i) h[i] = h[i] * float(1 + i % kHidden) + 2;
  const std::vector<float> read = rows_as_read(rows, h);
  ASSERT_EQ(read.size(), rows.weight.size());
  for (std::size_t v = 1; v < 5; ++v) {
    double apart = 0, mean = 0, squares = 0;
    for (std::size_t d = 0; d < kHidden; ++d) apart += std::pow(double{read[v * kHidden + d]} - read[d], 2);
    for (std::size_t n = 0; n < 500; ++n) {
      double off = 0;
      for (std::size_t d = 0; d < kHidden; ++d)
        off += double{h[n * kHidden + d]} * (double{rows.weight[v * kHidden + d]} - rows.weight[d]);
      mean += off / 500;
      squares += off * off / 500;
    }
    EXPECT_NEAR(apart, squares - mean * mean, 2e-3 * squares) << v;
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

/// What is left of logits W h + b without what all tokens have in common, squared, in the mean over positions and
/// tokens.
double lost(const WideRows& wide, const NarrowRows& narrow, std::span<const float> positions) {
  const std::size_t n = wide.of_tokens.size(), r = narrow.up.size() / n, N = positions.size() / kHidden;
  double sum = 0;
  for (std::size_t at = 0; at < N; ++at) {
    const float* const h = positions.data() + at * kHidden;
    std::vector<double> off(n);
    double mean = 0, total = 0;
    for (std::size_t v = 0; v < n; ++v) {
      off[v] = narrow.bias[v] - (wide.bias.empty() ? 0 : wide.bias[v]);
      for (std::size_t i = 0; i < r; ++i)
        for (std::size_t d = 0; d < kHidden; ++d)
          off[v] += double{narrow.up[v * r + i]} * narrow.down[i * kHidden + d] * h[d];
      for (std::size_t d = 0; d < kHidden; ++d) off[v] -= double{wide.weight[v * kHidden + d]} * h[d];
      mean += wide.of_tokens[v] * off[v];
      total += wide.of_tokens[v];
    }
    for (std::size_t v = 0; v < n; ++v) sum += wide.of_tokens[v] * std::pow(off[v] - mean / total, 2);
  }
  return sum / double(N);
}

TEST(NarrowRows, LoseNothingThatFitsAndLittleElse) {
  const std::vector<float> weight = random_numbers(11, kTokens * kHidden, 1), bias = random_numbers(12, kTokens, 1);
  std::vector<double> of_tokens(kTokens, 1);
  of_tokens[4] = 30;
  std::vector<float> positions = random_numbers(13, 400 * kHidden, 1);
  for (std::size_t i = 0; i < positions.size(); ++i) positions[i] = positions[i] * float(1 + i % kHidden) + 0.5f;
  const std::vector<double> of_positions(400, 1);
  const WideRows wide{kHidden, weight, bias, of_tokens};
  double before = INFINITY;
  for (std::int64_t rank = 1; rank <= kHidden; ++rank) {
    const NarrowRows narrow = narrow_rows(wide, rank, positions, of_positions);
    ASSERT_EQ(narrow.down.size(), std::size_t(rank * kHidden));
    ASSERT_EQ(narrow.up.size(), std::size_t(rank * kTokens));
    const double now = lost(wide, narrow, positions);
    EXPECT_LT(now, before) << rank;
    before = now;
    // No other projection of as many numbers loses less: the same turned a little.
    NarrowRows other = narrow;
    for (std::size_t i = 0; i < other.down.size(); ++i) other.down[i] += 0.02f * float(i % 3) - 0.02f;
    if (rank < kHidden) {
      EXPECT_LT(now, lost(wide, other, positions)) << rank;
    }
  }
  EXPECT_LT(before, 1e-6);
  // Rows of two dimensions, and one more that all tokens share.
  std::vector<float> flat(weight.size());
  for (std::size_t v = 0; v < kTokens; ++v)
    for (std::size_t d = 0; d < kHidden; ++d)
      flat[v * kHidden + d] = weight[v] * weight[d] + weight[v + 40] * weight[d + 20] + 3 * weight[d + 60];
  const WideRows of_two{kHidden, flat, {}, of_tokens};
  EXPECT_LT(lost(of_two, narrow_rows(of_two, 2, positions, of_positions), positions), 1e-6);
  EXPECT_GT(lost(of_two, narrow_rows(of_two, 1, positions, of_positions), positions), 1e-2);
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
