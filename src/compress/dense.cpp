// The one file of this layer that includes Eigen, which takes a while to compile.
#include "compress/dense.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <limits>

#include "base/fail.hpp"
#include "compress/steps.hpp"

namespace fabula::compress {
namespace {

template <class T>
using ByRows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class T>
Eigen::Map<const ByRows<T>, 0, Eigen::OuterStride<>> mapped(View<const T> of) {
  return {of.data, of.rows, of.columns, Eigen::OuterStride<>(of.stride)};
}
template <class T>
Eigen::Map<ByRows<T>, 0, Eigen::OuterStride<>> writable(View<T> of) {
  return {of.data, of.rows, of.columns, Eigen::OuterStride<>(of.stride)};
}

template <class T>
void check_product(const View<const T>& left, const View<const T>& right, const View<T>& out) {
  ensure(left.columns == right.rows && out.rows == left.rows && out.columns == right.columns,
         "a product of [{}, {}] and [{}, {}] into [{}, {}]", left.rows, left.columns, right.rows, right.columns,
         out.rows, out.columns);
}

std::vector<double> copied(const Eigen::MatrixXd& matrix) {
  std::vector<double> out(static_cast<std::size_t>(matrix.size()));
  writable(view(out, matrix.rows(), matrix.cols())) = matrix;
  return out;
}

// Whether a factor is that of a positive definite matrix, and not of rounding.
bool is_definite(const Eigen::LLT<Eigen::MatrixXd>& factor) {
  if (factor.info() != Eigen::Success) return false;
  const Eigen::ArrayXd pivots = factor.matrixLLT().diagonal().array().square();
  const double rounding = static_cast<double>(pivots.size()) * std::numeric_limits<double>::epsilon();
  return pivots.minCoeff() > rounding * pivots.maxCoeff();
}

constexpr std::int64_t kProductRows = 64;  // a thread's share at a time

}  // namespace

void multiply(View<const double> left, View<const double> right, View<double> out) {
  check_product(left, right, out);
  writable(out).noalias() = mapped(left) * mapped(right);
}

void multiply(View<const float> left, View<const float> right, View<float> out) {
  check_product(left, right, out);
  writable(out).noalias() = mapped(left) * mapped(right);
}

void add_product(double factor, View<const double> left, View<const double> right, View<double> out) {
  check_product(left, right, out);
  writable(out).noalias() += factor * mapped(left) * mapped(right);
}

void add_product(float factor, View<const float> left, View<const float> right, View<float> out) {
  check_product(left, right, out);
  writable(out).noalias() += factor * mapped(left) * mapped(right);
}

std::vector<double> product(View<const double> left, View<const double> right, const Work& work) {
  std::vector<double> out(static_cast<std::size_t>(left.rows * right.columns));
  for_each_block(work, Part::none(), left.rows, kProductRows, [&](std::int64_t first, std::int64_t n) {
    multiply(left.part(first, 0, n, left.columns), right,
             view(out, left.rows, right.columns).part(first, 0, n, right.columns));
  });
  return out;
}

std::vector<double> transposed(View<const double> of) {
  std::vector<double> out(static_cast<std::size_t>(of.rows * of.columns));
  writable(view(out, of.columns, of.rows)) = mapped(of).transpose();
  return out;
}

std::vector<double> widened(std::span<const float> values) {
  return {values.begin(), values.end()};
}

std::vector<double> cholesky(View<const double> a) {
  const Eigen::LLT<Eigen::MatrixXd> factor(mapped(a));
  if (!is_definite(factor)) return {};
  return copied(factor.matrixL());
}

// With rows and columns in reverse A is L L^T; in order that is V V^T with an upper V, so that A^-1 = V^-T V^-1.
std::vector<double> inverse_cholesky(View<const double> a) {
  const Eigen::MatrixXd reversed = mapped(a).reverse();
  const Eigen::LLT<Eigen::MatrixXd> factor(reversed);
  if (!is_definite(factor)) return {};
  Eigen::MatrixXd inverse = Eigen::MatrixXd::Identity(a.rows, a.rows);
  factor.matrixL().solveInPlace(inverse);
  return copied(inverse.reverse());
}

void divide_by_lower(View<const double> lower, View<double> b) {
  const Eigen::MatrixXd triangle = mapped(lower);
  auto target = writable(b);
  triangle.triangularView<Eigen::Lower>().solveInPlace<Eigen::OnTheRight>(target);
}

Eigenpairs eigenpairs(View<const double> a) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(mapped(a));
  ensure(solver.info() == Eigen::Success, "the eigenvalues of a matrix [{}, {}] were not found", a.rows, a.columns);
  return {copied(solver.eigenvalues()), copied(solver.eigenvectors())};
}

}  // namespace fabula::compress
