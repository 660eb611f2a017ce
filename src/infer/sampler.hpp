#pragma once
#include <cstdint>
#include <span>

#include "base/philox.hpp"

namespace fabula::infer {

struct SamplerOptions {
  double temperature = 0.8;  ///< 0: always the likeliest token
  std::uint32_t top_k = 0;   ///< only the k likeliest; 0: all
  double top_p = 1.0;        ///< only the smallest set whose probability reaches p
  std::uint64_t seed = 0;
};

/// Throws kInvalidArgument naming the option and its range.
void validate(const SamplerOptions& options);

/// Draws a token from log-probabilities [V] (they need not sum to 1). Ties go to the lower id. Throws kNumeric when no
/// entry is finite.
std::uint32_t sample(std::span<const float> log_probs, const SamplerOptions& options, Philox& random);

}  // namespace fabula::infer
