#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "compress/linear.hpp"

// Products and decompositions of dense matrices, row by row; Eigen stays inside dense.cpp. What one call computes is
// computed by one thread and never depends on others.
namespace fabula::compress {

/// Rows of a larger matrix.
template <class T>
struct View {
  T* data = nullptr;
  std::int64_t rows = 0, columns = 0;
  std::int64_t stride = 0;  ///< elements from a row to the next

  T* row(std::int64_t at) const { return data + at * stride; }
  View part(std::int64_t row, std::int64_t column, std::int64_t n, std::int64_t m) const {
    return {data + row * stride + column, n, m, stride};
  }
  operator View<const T>() const { return {data, rows, columns, stride}; }  // NOLINT: a matrix may be read
};
template <class T>
View<T> view(std::vector<T>& values, std::int64_t rows, std::int64_t columns) {
  return {values.data(), rows, columns, columns};
}
template <class T>
View<const T> view(const std::vector<T>& values, std::int64_t rows, std::int64_t columns) {
  return {values.data(), rows, columns, columns};
}
template <class T>
View<const T> view(std::span<const T> values, std::int64_t rows, std::int64_t columns) {
  return {values.data(), rows, columns, columns};
}

/// Of a linear that has them. [inputs, inputs]
View<const double> moments(const Linear& linear);

/// out = left right.
void multiply(View<const double> left, View<const double> right, View<double> out);
void multiply(View<const float> left, View<const float> right, View<float> out);
/// out += factor * left right.
void add_product(double factor, View<const double> left, View<const double> right, View<double> out);
void add_product(float factor, View<const float> left, View<const float> right, View<float> out);

/// left right, by rows on all of the work's threads. [left.rows, right.columns]
std::vector<double> product(View<const double> left, View<const double> right, const Work& work);
std::vector<double> transposed(View<const double> of);
std::vector<double> widened(std::span<const float> values);

/// The lower triangle L with L L^T = A, zero above; empty where A is not positive definite, or by no more than
/// rounding.
std::vector<double> cholesky(View<const double> a);
/// The upper triangle U with U^T U = A^-1, zero below; empty where A is not positive definite, or by no more than
/// rounding.
std::vector<double> inverse_cholesky(View<const double> a);
/// Solves X L = B for X, L lower and regular: B L^-1, in the place of B.
void divide_by_lower(View<const double> lower, View<double> b);

struct Eigenpairs {
  std::vector<double> values;   ///< [n], rising
  std::vector<double> vectors;  ///< [n, n], vector k is column k
};
/// Of a symmetric matrix, of which the lower triangle is read.
Eigenpairs eigenpairs(View<const double> a);

}  // namespace fabula::compress
