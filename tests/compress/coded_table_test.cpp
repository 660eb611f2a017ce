#include "compress/coded_table.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/half.hpp"
#include "base/philox.hpp"
#include "expect_error.hpp"

namespace fabula::compress {
namespace {

using test::expect_error;

constexpr std::int64_t kRows = 200, kColumns = 20;  // 20 is no multiple of 8

std::vector<float> random_table(std::uint64_t seed) {
  Philox random(seed);
  std::vector<float> table;
  for (std::int64_t i = 0; i < kRows * kColumns; ++i)
    table.push_back(static_cast<float>(random.normal() * (i % kColumns < 8 ? 3 : 1)));
  return table;
}

std::vector<std::uint64_t> falling_counts() {
  std::vector<std::uint64_t> counts;
  for (std::uint64_t row = 0; row < kRows; ++row) counts.push_back(10000 / ((row * 7) % kRows + 1));
  return counts;
}

TEST(CodedTable, RowsAreSumsOfTheirGroupsCentroids) {
  const std::vector<float> table = random_table(61);
  for (const PieceGroups groups : {PieceGroups::kColumns, PieceGroups::kRowBlocks, PieceGroups::kTable}) {
    const TableFormat format{.piece = 8, .stages = 2, .bits = 3, .groups = groups, .block = 100};
    const CodedTable coded = fit_table(table, kColumns, {}, {.format = format});
    EXPECT_EQ(coded.groups(), groups == PieceGroups::kColumns ? 3 : groups == PieceGroups::kTable ? 1 : 6);
    EXPECT_EQ(coded.bits(), kRows * 3 * 2 * 3 + coded.groups() * 2 * 8 * 8 * 16);
    const std::vector<float> numbers = expand(coded);
    for (const float centroid : coded.centroids) EXPECT_EQ(half_to_float(float_to_half(centroid)), centroid);
    for (std::int64_t row = 0; row < kRows; ++row)
      for (std::int64_t column = 0; column < kColumns; ++column) {
        const std::int64_t piece = column / 8, at = row * 3 + piece;
        const std::int64_t group = groups == PieceGroups::kColumns ? piece
                                   : groups == PieceGroups::kTable ? 0
                                                                   : at / 100;
        float sum = 0;
        for (std::int64_t stage = 0; stage < 2; ++stage) {
          const std::uint16_t code = coded.codes[static_cast<std::size_t>(at * 2 + stage)];
          ASSERT_LT(code, 8);
          sum += coded.centroids[static_cast<std::size_t>(((group * 2 + stage) * 8 + code) * 8 + column % 8)];
        }
        EXPECT_EQ(numbers[static_cast<std::size_t>(row * kColumns + column)], sum);
      }
  }
}

TEST(CodedTable, MoreStagesAndRefinementsLowerTheError) {
  const std::vector<float> table = random_table(62), weights = row_weights(kRows, falling_counts());
  const auto error = [&](int stages, int refinements) {
    const TableOptions options{.format = {.piece = 4, .stages = stages, .bits = 4}, .refinements = refinements};
    return table_error(table, expand(fit_table(table, kColumns, weights, options)), kColumns, weights).relative();
  };
  EXPECT_LT(error(2, 0), error(1, 0));
  EXPECT_LT(error(3, 0), error(2, 0));
  EXPECT_LT(error(2, 4), error(2, 0));
}

TEST(CodedTable, FrequentRowsAreNearerThanWithoutWeights) {
  const std::vector<float> table = random_table(63), weights = row_weights(kRows, falling_counts());
  const TableOptions options{.format = {.piece = 4, .stages = 1, .bits = 4}};
  EXPECT_LT(table_error(table, expand(fit_table(table, kColumns, weights, options)), kColumns, weights).squared,
            table_error(table, expand(fit_table(table, kColumns, {}, options)), kColumns, weights).squared);
}

TEST(CodedTable, WeightsOfRows) {
  EXPECT_EQ(row_weights(3, std::vector<std::uint64_t>{0, 3, 99}), (std::vector<float>{1, 2, 10}));
  EXPECT_EQ(row_weights(3), (std::vector<float>{2, std::sqrt(2.5f), std::sqrt(2.0f)}));
}

TEST(CodedTable, TheBandHasTheMostFrequentRows) {
  const std::vector<float> table = random_table(64);
  const std::vector<std::uint64_t> counts = falling_counts();
  const BandOptions options{.band = 30, .rest = {.format = {.piece = 8, .stages = 1, .bits = 4}}};
  const BandedTable banded = fit_banded(table, kColumns, counts, options);
  ASSERT_EQ(banded.band.size(), 30);
  std::vector<char> inside(kRows, 0);
  for (const std::uint32_t id : banded.band) inside[id] = 1;
  for (std::size_t row = 0; row < kRows; ++row)
    for (const std::uint32_t id : banded.band)
      EXPECT_TRUE(inside[row] != 0 || counts[id] > counts[row] || (counts[id] == counts[row] && id < row));
  const std::vector<float> numbers = expand(banded), rest = expand(banded.rest);
  std::size_t next = 0;
  for (std::size_t row = 0; row < kRows; ++row) {
    float most = 0;
    for (std::size_t c = 0; c < kColumns; ++c) most = std::max(most, std::abs(table[row * kColumns + c]));
    for (std::size_t c = 0; c < kColumns; ++c) {
      const std::size_t at = row * kColumns + c;
      if (inside[row] != 0) {
        EXPECT_LE(std::abs(double{numbers[at]} - table[at]), most / 254 + most * 0x1p-10);
      } else {
        EXPECT_EQ(numbers[at], rest[next * kColumns + c]);
      }
    }
    next += inside[row] == 0 ? 1 : 0;
  }
  EXPECT_EQ(banded.bits(), 30 * kColumns * 8 + 30 * 16 + kRows + banded.rest.bits());
}

TEST(CodedTable, BandOfNoneAndOfAll) {
  const std::vector<float> table = random_table(65);
  const BandOptions none{.rest = {.format = {.piece = 8, .stages = 1, .bits = 4}}};
  const BandedTable coded = fit_banded(table, kColumns, {}, none);
  EXPECT_EQ(expand(coded), expand(coded.rest));
  EXPECT_EQ(coded.bits(), coded.rest.bits());
  BandOptions all = none;
  all.band = kRows;
  const BandedTable rounded = fit_banded(table, kColumns, {}, all);
  EXPECT_EQ(expand(rounded), expand(round_to_nearest({kRows, kColumns, table}, {all.band_format, false}).codes));
  EXPECT_EQ(rounded.bits(), kRows * (kColumns * 8 + 16));
}

TEST(CodedTable, SeedDecidesAndThreadsDoNot) {
  const std::vector<float> table = random_table(66);
  TableOptions options{.format = {.piece = 4, .stages = 2, .bits = 4}, .seed = 5};
  const CodedTable one = fit_table(table, kColumns, {}, options, {.threads = 1}),
                   three = fit_table(table, kColumns, {}, options, {.threads = 3});
  EXPECT_EQ(one.codes, three.codes);
  EXPECT_EQ(one.centroids, three.centroids);
  options.seed = 6;
  EXPECT_NE(one.codes, fit_table(table, kColumns, {}, options).codes);
}

TEST(CodedTable, BadInput) {
  std::vector<float> table = random_table(67);
  expect_error(ErrorCode::kInvalidArgument, {"17 bits"},
               [&] { fit_table(table, kColumns, {}, {.format = {.bits = 17}}); });
  expect_error(ErrorCode::kInvalidArgument, {"rows of 19"}, [&] { fit_table(table, 19, {}, {}); });
  expect_error(ErrorCode::kInvalidArgument, {"1 weights", "200 rows"},
               [&] { fit_table(table, kColumns, std::vector<float>{1}, {}); });
  expect_error(ErrorCode::kInvalidArgument, {"band of 201"}, [&] { fit_banded(table, kColumns, {}, {.band = 201}); });
  table[kColumns + 2] = INFINITY;
  expect_error(ErrorCode::kNumeric, {"row 1, column 2"}, [&] { fit_table(table, kColumns, {}, {}); });
}

}  // namespace
}  // namespace fabula::compress
