#include "compress/two_factors.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "compress/dense.hpp"
#include "compress/random_linear.hpp"
#include "expect_error.hpp"

namespace fabula::compress {
namespace {

using test::expect_error;

// What a sum of n products rounds to, in parts of what is summed: n units in the last place.
double rounding(std::int64_t n) {
  return static_cast<double>(n) * 0x1p-52;
}

std::vector<double> whole(const Factors& of) {
  std::vector<double> result(static_cast<std::size_t>(of.outputs * of.inputs));
  multiply(view(of.up, of.outputs, of.rank), view(of.down, of.rank, of.inputs), view(result, of.outputs, of.inputs));
  return result;
}

// The mean over all inputs of |W x - W' x - shift|^2.
double measured_error(const RandomLinear& of, const Factors& by) {
  const std::vector<double> fitted = whole(by);
  double sum = 0;
  for (std::int64_t r = 0; r < of.rows; ++r)
    for (std::int64_t o = 0; o < of.outputs; ++o) {
      double off = by.shift.empty() ? 0 : -by.shift[static_cast<std::size_t>(o)];
      for (std::int64_t i = 0; i < of.inputs; ++i) {
        const auto at = static_cast<std::size_t>(o * of.inputs + i);
        off += (of.weights[at] - fitted[at]) * of.x[static_cast<std::size_t>(r * of.inputs + i)];
      }
      sum += off * off / static_cast<double>(of.rows);
    }
  return sum;
}

// Wide, square and high; with and without means.
TEST(TwoFactors, ErrorIsTheSumOfTheDroppedEigenvalues) {
  for (const auto& [outputs, inputs] : {std::pair<std::int64_t, std::int64_t>{6, 20}, {12, 12}, {30, 9}}) {
    const RandomLinear of(outputs, inputs, 128, 21);
    for (const bool centred : {false, true}) {
      const Linear linear = centred ? of.with_means() : of.linear();
      const OutputDirections directions = output_directions(linear);
      ASSERT_EQ(directions.count(), std::min(outputs, inputs));
      for (std::int64_t rank = 1; rank <= std::min(outputs, inputs); ++rank)
        EXPECT_NEAR(measured_error(of, factors(linear, directions, rank)), directions.error(rank),
                    directions.signal * rounding(outputs * inputs * of.rows))
            << outputs << " x " << inputs << ", rank " << rank << (centred ? ", centred" : "");
    }
  }
}

// W L = U S V^T cut to rank r, times L^-1, is the same matrix: here by the eigenvectors of the other side.
TEST(TwoFactors, TheSameAsWhitenedSvd) {
  for (const auto& [outputs, inputs] : {std::pair<std::int64_t, std::int64_t>{8, 20}, {20, 8}}) {
    const RandomLinear of(outputs, inputs, 256, 22);
    const std::vector<double> lower = cholesky(view(of.moments, inputs, inputs)), weights = widened(of.weights);
    ASSERT_FALSE(lower.empty());
    const std::vector<double> whitened = product(view(weights, outputs, inputs), view(lower, inputs, inputs), {});
    const std::vector<double> turned = transposed(view(whitened, outputs, inputs));
    const Eigenpairs pairs =
        eigenpairs(view(product(view(turned, inputs, outputs), view(whitened, outputs, inputs), {}), inputs, inputs));
    const OutputDirections directions = output_directions(of.linear());
    const std::int64_t rank = 3;
    std::vector<double> right(static_cast<std::size_t>(inputs * rank));  // V_r
    for (std::int64_t i = 0; i < inputs; ++i)
      for (std::int64_t k = 0; k < rank; ++k)
        right[static_cast<std::size_t>(i * rank + k)] =
            pairs.vectors[static_cast<std::size_t>(i * inputs + inputs - 1 - k)];
    const std::vector<double> left = product(view(whitened, outputs, inputs), view(right, inputs, rank), {});
    std::vector<double> expected(static_cast<std::size_t>(outputs * inputs));
    multiply(view(left, outputs, rank), view(transposed(view(right, inputs, rank)), rank, inputs),
             view(expected, outputs, inputs));
    divide_by_lower(view(lower, inputs, inputs), view(expected, outputs, inputs));
    const std::vector<double> found = whole(factors(of.linear(), directions, rank));
    // Both solve with Sigma or vectors of it: rounding grows with the ratio of its ends.
    const Eigenpairs ends = eigenpairs(view(of.moments, inputs, inputs));
    const double condition = ends.values.back() / ends.values.front();
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], condition * rounding(outputs * inputs)) << i;
  }
}

TEST(TwoFactors, InputsThatDependOnEachOther) {
  RandomLinear of(30, 12, 64, 23);
  for (std::int64_t r = 0; r < of.rows; ++r)
    of.x[static_cast<std::size_t>(r * 12 + 5)] = of.x[static_cast<std::size_t>(r * 12 + 4)];
  of.measure();
  of.kill_input(2);
  const OutputDirections directions = output_directions(of.linear());
  EXPECT_EQ(directions.count(), 10);
  EXPECT_NEAR(measured_error(of, factors(of.linear(), directions, 12)), 0, directions.signal * 1e-12);
  EXPECT_NEAR(measured_error(of, factors(of.linear(), directions, 4)), directions.error(4), directions.signal * 1e-12);
}

TEST(TwoFactors, ThreadsChangeNothing) {
  const RandomLinear of(150, 40, 64, 24);
  const OutputDirections one = output_directions(of.linear(), {.threads = 1}),
                         three = output_directions(of.linear(), {.threads = 3});
  EXPECT_EQ(one.energies, three.energies);
  EXPECT_EQ(one.basis, three.basis);
}

TEST(TwoFactors, RanksThatPay) {
  EXPECT_EQ(largest_useful_rank(64, 64), 31);
  EXPECT_EQ(largest_useful_rank(64, 256), 51);
  EXPECT_EQ(rank_of_share(64, 64, 0.5), 16);
  EXPECT_EQ(rank_of_share(64, 64, 0.001), 1);
}

// Of all ranks within the budget none have a smaller sum of errors, unless they use numbers that these leave.
TEST(TwoFactors, RanksByLossLieOnTheBoundOfAllChoices) {
  std::vector<OutputDirections> matrices;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const std::int64_t outputs = seed == 1 ? 12 : 6, inputs = 8;
    const RandomLinear of(outputs, inputs, 64, 25 + seed);
    matrices.push_back(output_directions(of.linear()));
  }
  const auto numbers = [&](std::size_t m, std::int64_t rank) {
    return rank == 0 ? matrices[m].outputs * matrices[m].inputs : rank * (matrices[m].outputs + matrices[m].inputs);
  };
  const auto loss = [&](std::size_t m, std::int64_t rank) {
    return rank == 0 ? 0 : matrices[m].error(rank) / matrices[m].signal;
  };
  for (const double share : {0.4, 0.6, 0.8, 1.0}) {
    const std::vector<std::int64_t> ranks = ranks_by_loss(matrices, share);
    std::int64_t used = 0, all = 0;
    double error = 0;
    for (std::size_t m = 0; m < 3; ++m) {
      used += numbers(m, ranks[m]);
      all += numbers(m, 0);
      error += loss(m, ranks[m]);
    }
    EXPECT_LE(static_cast<double>(used), share * static_cast<double>(all));
    for (std::int64_t a = 0; a <= 3; ++a)
      for (std::int64_t b = 0; b <= 4; ++b)
        for (std::int64_t c = 0; c <= 3; ++c)
          if (numbers(0, a) + numbers(1, b) + numbers(2, c) <= used) {
            EXPECT_GE(loss(0, a) + loss(1, b) + loss(2, c), error * (1 - 1e-12)) << a << " " << b << " " << c;
          }
    if (share == 1.0) {
      EXPECT_EQ(ranks, (std::vector<std::int64_t>{0, 0, 0}));
    }
  }
  expect_error(ErrorCode::kInvalidArgument, {"0.01", "rank of 1"}, [&] { ranks_by_loss(matrices, 0.01); });
  const RandomLinear of(6, 8, 64, 25);
  expect_error(ErrorCode::kInvalidArgument, {"rank 7", "[6, 8]"}, [&] { factors(of.linear(), matrices[0], 7); });
}

}  // namespace
}  // namespace fabula::compress
