#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "text/token_file.hpp"

namespace fabula::maps {

/// How often each token id of the vocabulary is in the file. [V]
std::vector<std::uint64_t> token_counts(const text::TokenFile& file);

/// All token ids in falling frequency; of equally frequent ones the lower id comes first. [V]
std::vector<std::uint32_t> tokens_by_frequency(std::span<const std::uint64_t> counts);

}  // namespace fabula::maps
