#include "maps/linear_algebra.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/philox.hpp"

namespace fabula::maps {
namespace {

// Every third entry or so, from N(0, 1).
SparseRows random_matrix(std::int64_t rows, std::int64_t columns) {
  Philox random(5);
  SparseRows matrix;
  matrix.columns = columns;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      if (random.below(3) != 0) continue;
      matrix.column.push_back(static_cast<std::uint32_t>(column));
      matrix.value.push_back(static_cast<float>(random.normal()));
    }
    matrix.begin.push_back(matrix.column.size());
  }
  return matrix;
}

std::vector<double> dense(const SparseRows& matrix) {
  std::vector<double> result(static_cast<std::size_t>(matrix.rows() * matrix.columns));
  for (std::size_t row = 0; row + 1 < matrix.begin.size(); ++row)
    for (std::size_t e = matrix.begin[row]; e < matrix.begin[row + 1]; ++e)
      result[row * static_cast<std::size_t>(matrix.columns) + matrix.column[e]] = matrix.value[e];
  return result;
}

TEST(LinearAlgebra, TransposeExchangesRowsAndColumns) {
  const SparseRows matrix = random_matrix(7, 11), transposed = transpose(matrix);
  ASSERT_EQ(transposed.rows(), 11);
  ASSERT_EQ(transposed.columns, 7);
  const std::vector<double> a = dense(matrix), b = dense(transposed);
  for (std::size_t r = 0; r < 7; ++r)
    for (std::size_t c = 0; c < 11; ++c) EXPECT_EQ(a[r * 11 + c], b[c * 7 + r]);
}

TEST(LinearAlgebra, DotProducts) {
  const std::vector<float> left = {1, 2, 3, 4, 5, 6}, right = {1, 0, -1, 2, 2, 2, 0, 0, 1, 1, 1, 0};
  std::vector<float> out(8);
  dot_products(left, right, 3, out);
  EXPECT_EQ(out, (std::vector<float>{-2, 12, 3, 3, -2, 30, 6, 9}));
}

// Rows of U S have the inner products of the matrix's own rows when the rank is enough.
TEST(LinearAlgebra, SingularRowsOfFullRankKeepInnerProducts) {
  for (const auto& [rows, columns] : {std::pair<std::int64_t, std::int64_t>{40, 12}, {9, 33}, {1, 5}, {300, 1}}) {
    const SparseRows matrix = random_matrix(rows, columns);
    const SingularRows result = singular_rows(matrix, 64, 1, 2);
    ASSERT_EQ(result.rank, std::min(rows, columns));
    const std::vector<double> a = dense(matrix);
    const auto r = static_cast<std::size_t>(result.rank), c = static_cast<std::size_t>(columns);
    for (std::size_t i = 0; i < static_cast<std::size_t>(rows); i += 3) {
      for (std::size_t j = 0; j <= i; ++j) {
        double expected = 0, actual = 0;
        for (std::size_t k = 0; k < c; ++k) expected += a[i * c + k] * a[j * c + k];
        for (std::size_t k = 0; k < r; ++k) actual += double{result.values[i * r + k]} * result.values[j * r + k];
        EXPECT_NEAR(actual, expected, 1e-4) << rows << " x " << columns << ": " << i << ", " << j;
      }
    }
  }
}

// Of a diagonal matrix the largest entries remain, each in a row and column of its own.
TEST(LinearAlgebra, SingularRowsKeepTheLargest) {
  SparseRows matrix;
  matrix.columns = 50;
  for (std::uint32_t i = 0; i < 50; ++i) {
    matrix.column.push_back(i);
    matrix.value.push_back(i % 10 == 3 ? 20.0f + static_cast<float>(i) : 1.0f);  // 23, 33, 43, 53, 63
    matrix.begin.push_back(i + 1);
  }
  const SingularRows result = singular_rows(matrix, 5, 3, 1);
  ASSERT_EQ(result.rank, 5);
  for (std::size_t i = 0; i < 50; ++i) {
    double norm = 0;
    for (std::size_t k = 0; k < 5; ++k) norm += double{result.values[i * 5 + k]} * result.values[i * 5 + k];
    EXPECT_NEAR(std::sqrt(norm), i % 10 == 3 ? matrix.value[i] : 0, 1e-3) << i;
  }
  EXPECT_NEAR(std::abs(result.values[43 * 5 + 4]), 63, 1e-3) << "the largest is last";
}

TEST(LinearAlgebra, ThreadsChangeNothing) {
  const SparseRows matrix = random_matrix(700, 90);
  const SingularRows one = singular_rows(matrix, 16, 9, 1), three = singular_rows(matrix, 16, 9, 3);
  EXPECT_EQ(one.values, three.values);
  EXPECT_NE(one.values, singular_rows(matrix, 16, 10, 1).values);
}

}  // namespace
}  // namespace fabula::maps
