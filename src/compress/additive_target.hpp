#pragma once
#include <cstdint>
#include <vector>

#include "compress/additive.hpp"
#include "compress/dense.hpp"
#include "compress/steps.hpp"

namespace fabula::compress {

/// A linear as additive codes are fitted to it, padded to whole groups with inputs that are always zero.
struct AdditiveTarget {
  std::int64_t outputs = 0, inputs = 0;
  std::int64_t groups = 0, columns = 0;   ///< columns = groups * g
  std::vector<float> weights = {};        ///< [outputs, columns]
  std::vector<float> moments = {};        ///< Sigma over a power of two near its mean [columns, columns]
  double share = 0;                       ///< what its error counts: 1 / tr(W moments W^T)
  std::vector<float> scales = {};         ///< [outputs]; at first the root of the mean square of a row
  std::vector<std::uint16_t> codes = {};  ///< [outputs, groups, M]

  View<const float> all_moments() const { return view(moments, columns, columns); }
};

AdditiveTarget additive_target(const Linear& linear, const AdditiveFormat& format, const Work& work);

/// Sums of codewords of rows [first, first + n), without scales; `numbers` as Codebooks::numbers. [n, columns]
void sum_codewords(const AdditiveTarget& target, const AdditiveFormat& format, std::span<const float> numbers,
                   std::int64_t first, std::int64_t n, float* out);

/// W - W' of these rows. [n, columns]
void residual(const AdditiveTarget& target, const Codebooks& codebooks, std::int64_t first, std::int64_t n, float* out);

/// share * E.
double relative_error(const AdditiveTarget& target, const Codebooks& codebooks, const Work& work);

/// In which order a sweep visits groups, and codebooks within each.
struct SearchOrder {
  std::vector<std::int64_t> groups = {};  ///< a permutation
  std::vector<int> books = {};            ///< a permutation of M for each place of the order [groups, M]

  static SearchOrder drawn(std::int64_t groups, int codebooks, std::uint64_t seed, std::uint64_t round);
};

/// One sweep of beam search over all codes; all rows at once. The loss of a codeword c_k in the place of c_0 is exact:
/// with R0 = R + s c_0, <R0 Sigma, R0> - 2 s <(R0 Sigma)[j], c_k> + s^2 c_k^T Sigma[j, j] c_k. Of equal losses the
/// lowest codes win. E never rises.
void search_codes(AdditiveTarget& target, const Codebooks& codebooks, const SearchOrder& order, int beam,
                  const Work& work, const Part& part = Part::none());

/// Steps of conjugate gradients on the codebooks, of which E is a quadratic function; codes and scales stay.
void improve_codebooks(const std::vector<AdditiveTarget>& targets, Codebooks& codebooks, int steps, const Work& work);

/// The scale of least error for each row; a row for which that is not above zero keeps its own.
void improve_scales(AdditiveTarget& target, const Codebooks& codebooks, const Work& work);

}  // namespace fabula::compress
