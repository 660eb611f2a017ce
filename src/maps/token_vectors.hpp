#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "text/token_file.hpp"

namespace fabula::maps {

/// A direction for each token that a text has, by which tokens are clustered.
struct TokenVectors {
  std::vector<std::uint32_t> tokens;  ///< [n] in falling frequency
  std::int64_t dims = 0;
  std::vector<float> rows;  ///< [n, dims], each of length 1, or 0 where nothing is known of a token
};

/// From the text itself: positive pointwise mutual information of each token with its left and right neighbours among
/// the most frequent tokens, reduced to at most 64 numbers by a truncated singular value decomposition (Levy and
/// Goldberg, "Neural word embedding as implicit matrix factorization", 2014). Of a very long text evenly spaced
/// stretches are read. `threads` 0: all of the machine's; the result does not depend on it.
TokenVectors neighbour_vectors(const text::TokenFile& file, std::span<const std::uint64_t> counts, std::uint64_t seed,
                               std::size_t threads = 0);

/// From a table [V, dims], such as a model's token embeddings; tokens whose count is 0 are left out. Error kFormat
/// naming `source` and the token for a row that is not finite.
TokenVectors embedding_vectors(std::span<const float> table, std::int64_t dims, std::span<const std::uint64_t> counts,
                               std::string_view source);
/// The same of what sets each row apart: the mean of the rows that have a count is taken off before.
TokenVectors relative_embedding_vectors(std::span<const float> table, std::int64_t dims,
                                        std::span<const std::uint64_t> counts, std::string_view source);

}  // namespace fabula::maps
