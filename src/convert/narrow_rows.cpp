#include "convert/narrow_rows.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>

#include "base/fail.hpp"

namespace fabula::convert {
namespace {

using RowsOfFloats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Of the mean variance: so that directions which the positions do not have are still worth a little.
constexpr double kRidgeOfNarrow = 1e-3;

Eigen::MatrixXd wide(std::span<const float> numbers, std::int64_t columns) {
  return Eigen::Map<const RowsOfFloats>(numbers.data(), std::int64_t(numbers.size()) / columns, columns).cast<double>();
}

std::vector<float> narrowed(const Eigen::MatrixXd& numbers) {
  const RowsOfFloats rows = numbers.cast<float>();
  return {rows.data(), rows.data() + rows.size()};
}

}  // namespace

NarrowRows narrow_rows(const WideRows& rows, std::int64_t rank, std::span<const float> positions,
                       std::span<const double> of_positions) {
  const std::int64_t D = rows.hidden;
  ensure(rank >= 1 && rank <= D && !of_positions.empty(), "rows of {} numbers through {}, {} positions", D, rank,
         of_positions.size());
  const Eigen::Map<const Eigen::VectorXd> weight(of_positions.data(), std::int64_t(of_positions.size())),
      of_tokens(rows.of_tokens.data(), std::int64_t(rows.of_tokens.size()));
  Eigen::MatrixXd h = wide(positions, D);  // [N, D]
  const double total = weight.sum();
  const Eigen::VectorXd mean = h.transpose() * weight / total;
  h.rowwise() -= mean.transpose();
  Eigen::MatrixXd covariance = h.transpose() * weight.asDiagonal() * h / total;
  covariance.diagonal().array() += kRidgeOfNarrow * covariance.trace() / double(D) + 1e-12;
  const Eigen::LLT<Eigen::MatrixXd> factor(covariance);

  Eigen::MatrixXd apart = wide(rows.weight, D);  // [n, D], without what all have in common
  apart.rowwise() -= (apart.transpose() * of_tokens / of_tokens.sum()).transpose().eval();
  const Eigen::MatrixXd seen = apart * Eigen::MatrixXd(factor.matrixL());  // W L, as whitened positions read it
  const Eigen::MatrixXd gram = seen.transpose() * of_tokens.asDiagonal() * seen;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(gram);
  Eigen::MatrixXd directions = eigen.eigenvectors().rightCols(rank);  // the largest are the last
  const Eigen::MatrixXd up = seen * directions;
  factor.matrixU().solveInPlace(directions);  // L^-T V: down is its transpose
  const Eigen::MatrixXd down = directions.transpose();
  Eigen::VectorXd bias = apart * mean - up * (down * mean);
  if (!rows.bias.empty())
    bias += Eigen::Map<const Eigen::VectorXf>(rows.bias.data(), std::int64_t(rows.bias.size())).cast<double>();
  return {narrowed(down), narrowed(up), narrowed(bias)};
}

}  // namespace fabula::convert
