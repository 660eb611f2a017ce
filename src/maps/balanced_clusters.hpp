#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "maps/token_vectors.hpp"

namespace fabula::maps {

/// The centres of min(clusters, n) clusters of directions: spherical k-means from rows drawn with the seed
/// (k-means++), a token weighing the square root of its count. [clusters, dims], each of length 1. `threads` 0: all of
/// the machine's; the result does not depend on it.
std::vector<float> cluster_centres(const TokenVectors& vectors, std::span<const std::uint64_t> counts,
                                   std::int64_t clusters, std::uint64_t seed, std::size_t threads = 0);

/// Each token that `takes` accepts goes, in the order of `vectors`, to the nearest centre that has fewer than `room`
/// tokens; one result a centre. There must be room for all.
std::vector<std::vector<std::uint32_t>> assign_balanced(const TokenVectors& vectors, std::span<const float> centres,
                                                        std::int64_t room,
                                                        const std::function<bool(std::uint32_t token)>& takes);

}  // namespace fabula::maps
