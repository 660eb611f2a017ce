// The one file that includes Eigen, which takes a while to compile.
#include "maps/linear_algebra.hpp"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <algorithm>

#include "base/fail.hpp"
#include "base/parallel.hpp"
#include "base/philox.hpp"

namespace fabula::maps {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr std::int64_t kSpareColumns = 8;  // random directions beyond the rank: they make the last ones accurate
constexpr int kRounds = 4;
constexpr std::int64_t kRowsAtOnce = 256;

Matrix product(const SparseRows& left, const Matrix& right, std::size_t threads) {
  Matrix out = Matrix::Zero(left.rows(), right.cols());
  const std::int64_t blocks = (left.rows() + kRowsAtOnce - 1) / kRowsAtOnce;
  parallel_for(threads, static_cast<std::size_t>(blocks), [&](std::size_t, std::size_t block) {
    const auto first = static_cast<std::int64_t>(block) * kRowsAtOnce;
    for (std::int64_t row = first; row < std::min(first + kRowsAtOnce, left.rows()); ++row) {
      const auto r = static_cast<std::size_t>(row);
      for (std::size_t e = left.begin[r]; e < left.begin[r + 1]; ++e)
        out.row(row) += left.value[e] * right.row(left.column[e]);
    }
  });
  return out;
}

// Orthonormal columns that span what those of `matrix` span.
Matrix orthonormal(const Matrix& matrix) {
  const Eigen::MatrixXf by_columns = matrix;
  const Eigen::HouseholderQR<Eigen::MatrixXf> decomposition(by_columns);
  return decomposition.householderQ() * Eigen::MatrixXf::Identity(matrix.rows(), matrix.cols());
}

}  // namespace

SparseRows transpose(const SparseRows& matrix) {
  SparseRows result;
  result.columns = matrix.rows();
  result.begin.assign(static_cast<std::size_t>(matrix.columns) + 1, 0);
  for (const std::uint32_t column : matrix.column) ++result.begin[column + 1];
  for (std::size_t c = 1; c < result.begin.size(); ++c) result.begin[c] += result.begin[c - 1];
  result.column.resize(matrix.column.size());
  result.value.resize(matrix.value.size());
  std::vector<std::size_t> next(result.begin.begin(), result.begin.end() - 1);
  for (std::size_t row = 0; row + 1 < matrix.begin.size(); ++row) {
    for (std::size_t e = matrix.begin[row]; e < matrix.begin[row + 1]; ++e) {
      const std::size_t to = next[matrix.column[e]]++;
      result.column[to] = static_cast<std::uint32_t>(row);
      result.value[to] = matrix.value[e];
    }
  }
  return result;
}

SingularRows singular_rows(const SparseRows& matrix, std::int64_t rank, std::uint64_t seed, std::size_t threads) {
  const std::int64_t most = std::min(matrix.rows(), matrix.columns);
  ensure(rank > 0 && most > 0, "a decomposition of rank {} of a matrix [{}, {}]", rank, matrix.rows(), matrix.columns);
  const SparseRows transposed = transpose(matrix);
  Matrix directions(matrix.columns, std::min(rank + kSpareColumns, most));
  Philox random(seed);
  for (std::int64_t i = 0; i < directions.size(); ++i) directions.data()[i] = static_cast<float>(random.normal());
  Matrix basis = orthonormal(product(matrix, directions, threads));  // [rows, q]
  for (int round = 0; round < kRounds; ++round) {
    directions = orthonormal(product(transposed, basis, threads));
    basis = orthonormal(product(matrix, directions, threads));
  }
  // basis^T matrix = W S V^T, so that U S = basis W S; W and S^2 are the eigenvectors and values of its Gram matrix.
  const Eigen::MatrixXd small = product(transposed, basis, threads).cast<double>();  // [columns, q]
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(small.transpose() * small);
  SingularRows result;
  result.rank = std::min(rank, most);
  const Eigen::VectorXd sizes = eigen.eigenvalues().tail(result.rank).cwiseMax(0).cwiseSqrt();
  const Eigen::MatrixXf turn = (eigen.eigenvectors().rightCols(result.rank) * sizes.asDiagonal()).cast<float>();
  result.values.resize(static_cast<std::size_t>(matrix.rows() * result.rank));
  Eigen::Map<Matrix>(result.values.data(), matrix.rows(), result.rank).noalias() = basis * turn;
  return result;
}

void dot_products(std::span<const float> left, std::span<const float> right, std::int64_t dims, std::span<float> out) {
  const auto n = static_cast<std::int64_t>(left.size()) / dims, m = static_cast<std::int64_t>(right.size()) / dims;
  ensure(static_cast<std::int64_t>(out.size()) == n * m, "{} products into {} places", n * m, out.size());
  const Eigen::Map<const Matrix> rows(left.data(), n, dims), columns(right.data(), m, dims);
  Eigen::Map<Matrix>(out.data(), n, m).noalias() = rows * columns.transpose();
}

}  // namespace fabula::maps
