#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "compress/linear.hpp"

// Weights in groups of a few inputs as sums of codewords (AQLM: Egiazarian et al., "Extreme compression of large
// language models via additive quantization", 2024): W'[i, group j] = s_i * sum over m of C_m[code(i, j, m)].
namespace fabula::compress {

struct AdditiveFormat {
  int codebooks = 2;       ///< M, from 1 on
  int bits = 8;            ///< of a code, 1 to 16; a codebook has K = 2^bits entries
  std::int64_t group = 8;  ///< g, inputs

  std::int64_t entries() const { return std::int64_t{1} << bits; }
};

/// [M, K, g], each number one of fp16's.
struct Codebooks {
  AdditiveFormat format = {};
  std::vector<float> numbers = {};

  std::span<const float> book(int m) const {
    const auto size = static_cast<std::size_t>(format.entries() * format.group);
    return std::span(numbers).subspan(static_cast<std::size_t>(m) * size, size);
  }
};

/// One matrix in terms of codebooks.
struct AdditiveCodes {
  std::int64_t outputs = 0, inputs = 0;
  std::int64_t groups = 0;                ///< of a row; inputs that the last one has too many are zeros
  std::vector<std::uint16_t> codes = {};  ///< [outputs, groups, M]
  std::vector<float> scales = {};         ///< [outputs], each one of fp16's
};

/// The matrix [outputs, inputs].
std::vector<float> expand(const Codebooks& codebooks, const AdditiveCodes& codes);

struct AdditiveOptions {
  AdditiveFormat format = {};
  std::uint64_t seed = 0;
  int beam = 1;              ///< ways of encoding a row that are kept side by side
  double tolerance = 0.01;   ///< the fit ends where a round lowers E by less than this part of it,
  int most_rounds = 20;      ///< or after so many
  int cluster_rounds = 100;  ///< of k-means, at most, for the start
  int gradient_steps = 16;   ///< of conjugate gradients on the codebooks, a round
};

struct AdditiveFit {
  Codebooks codebooks = {};
  std::vector<AdditiveCodes> matrices;
  std::vector<FitError> errors;     ///< of each matrix
  std::vector<double> rounds = {};  ///< sum of the relative errors after k-means and after each round
};

/// Codebooks that one or several matrices share, each matrix's error counting in parts of its own signal; scales and
/// codes for each. The same seed gives the same result, whatever the number of threads.
/// Errors: kInvalidArgument for a format that there is not; as check(linear).
AdditiveFit fit_additive(std::span<const Linear> linears, const AdditiveOptions& options, const Work& work = {});

/// Scales and codes for matrices in terms of codebooks that stay as they are.
AdditiveFit encode_additive(std::span<const Linear> linears, const Codebooks& codebooks, const AdditiveOptions& options,
                            const Work& work = {});

}  // namespace fabula::compress
