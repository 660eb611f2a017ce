#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// The products and the decomposition that clustering needs. Results do not depend on the number of threads.
namespace fabula::maps {

/// A sparse matrix; row r has the entries [begin[r], begin[r + 1]), columns rising.
struct SparseRows {
  std::int64_t columns = 0;
  std::vector<std::size_t> begin{0};  ///< [rows + 1]
  std::vector<std::uint32_t> column;
  std::vector<float> value;

  std::int64_t rows() const { return static_cast<std::int64_t>(begin.size()) - 1; }
};
SparseRows transpose(const SparseRows& matrix);

/// The rows of U S of the best approximation U S V^T of rank min(rank, rows, columns) (Halko, Martinsson and Tropp,
/// "Finding structure with randomness", 2011: subspace iteration). [rows, rank], the largest singular value last.
struct SingularRows {
  std::int64_t rank = 0;
  std::vector<float> values;
};
SingularRows singular_rows(const SparseRows& matrix, std::int64_t rank, std::uint64_t seed, std::size_t threads);

/// out[i, j] = left[i, :] . right[j, :]; left [n, dims], right [m, dims], out [n, m].
void dot_products(std::span<const float> left, std::span<const float> right, std::int64_t dims, std::span<float> out);

}  // namespace fabula::maps
