#include "compress/adaptor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/philox.hpp"
#include "expect_error.hpp"

namespace fabula::compress {
namespace {

using test::expect_error;

Adaptor random_adaptor(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  Adaptor result = new_adaptor(rows, columns, 2, 5, seed);
  Philox random(seed + 1);
  for (std::vector<double>* const part : result.parts())
    for (double& number : *part) number = random.normal();
  return result;
}

TEST(Adaptor, StartsWithRowsOfZeros) {
  for (const float number : expand(new_adaptor(9, 6, 2, 5, 1))) EXPECT_EQ(number, 0);
}

// Central differences of a function that is quadratic or linear in each number, away from the kinks of max(0, x).
TEST(Adaptor, GradientIsThatOfTheCost) {
  Adaptor adaptor = random_adaptor(7, 6, 2);
  Philox random(3);
  std::vector<float> target, weights;
  for (int i = 0; i < 42; ++i) target.push_back(static_cast<float>(random.normal()));
  for (int i = 0; i < 7; ++i) weights.push_back(static_cast<float>(i + 1));
  const std::vector<std::uint32_t> rows = {0, 2, 3, 6};
  Adaptor gradient = adaptor, unused = adaptor;
  for (std::vector<double>* const part : gradient.parts()) std::fill(part->begin(), part->end(), 0.0);
  adaptor_cost(adaptor, target, weights, rows, gradient);
  constexpr double kStep = 1e-6;
  const auto parts = adaptor.parts(), slopes = gradient.parts();
  for (std::size_t p = 0; p < parts.size(); ++p)
    for (std::size_t i = 0; i < parts[p]->size(); ++i) {
      const double number = (*parts[p])[i];
      (*parts[p])[i] = number + kStep;
      const double above = adaptor_cost(adaptor, target, weights, rows, unused);
      (*parts[p])[i] = number - kStep;
      const double below = adaptor_cost(adaptor, target, weights, rows, unused);
      (*parts[p])[i] = number;
      // The costs round to some 1e-16 of themselves each.
      EXPECT_NEAR((above - below) / (2 * kStep), (*slopes[p])[i], above * 1e-15 / kStep) << p << ", " << i;
    }
}

TEST(Adaptor, FindsRowsThatAnAdaptorMade) {
  const Adaptor made = random_adaptor(64, 6, 4);
  const std::vector<float> target = expand(made), weights(64, 1.0f);
  const AdaptorOptions options{.width = 2, .hidden = 16, .epochs = 200, .batch = 16};
  const Adaptor start = new_adaptor(64, 6, 2, 16, 5);
  const Adaptor found = improved(start, target, weights, options);
  EXPECT_LT(table_error(target, expand(found), 6, weights).relative(), 0.25);
}

TEST(Adaptor, WithCodesIsNoWorseThanTheCodes) {
  Philox random(6);
  std::vector<float> table, weights;
  for (int i = 0; i < 100 * 8; ++i) table.push_back(static_cast<float>(random.normal()));
  for (int i = 0; i < 100; ++i) weights.push_back(static_cast<float>(1 + i % 3));
  const TableOptions options{.format = {.piece = 4, .stages = 1, .bits = 3}};
  const AdaptorOptions adaptor{.width = 2, .hidden = 8, .epochs = 10, .batch = 32};
  const AdaptedTable one = fit_adapted(table, 8, weights, options, adaptor, 1, {.threads = 1});
  EXPECT_LE(table_error(table, expand(one), 8, weights).squared,
            table_error(table, expand(one.codes), 8, weights).squared);
  EXPECT_EQ(one.bits(), one.codes.bits() + 16 * (100 * 2 + 2 * 8 + 8 + 8 * 8 + 8));
  const AdaptedTable three = fit_adapted(table, 8, weights, options, adaptor, 1, {.threads = 3});
  EXPECT_EQ(expand(one), expand(three));
}

TEST(Adaptor, BadInput) {
  expect_error(ErrorCode::kInvalidArgument, {"0 numbers a token"}, [] { new_adaptor(4, 4, 0, 8, 1); });
  const Adaptor start = new_adaptor(4, 4, 1, 8, 1);
  const std::vector<float> target(16), weights(4, 1.0f);
  expect_error(ErrorCode::kInvalidArgument, {"0 epochs"}, [&] { improved(start, target, weights, {.epochs = 0}); });
}

}  // namespace
}  // namespace fabula::compress
