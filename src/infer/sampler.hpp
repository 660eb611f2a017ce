#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/philox.hpp"

namespace fabula::infer {

struct SamplerOptions {
  double temperature = 0.8;       ///< 0: always the likeliest token
  std::uint32_t top_k = 0;        ///< only the k likeliest; 0: all
  double top_p = 1.0;             ///< only the smallest set whose probability reaches p
  double min_p = 0;               ///< only what is at least so many times as likely as the likeliest; 0: all
  double repetition_penalty = 1;  ///< log p of what was read or written before is multiplied by it
  double presence_penalty = 0;    ///< taken from log p of what was written before ...
  double frequency_penalty = 0;   ///< ... and for each time
  std::vector<std::pair<std::uint32_t, double>> logit_bias = {};  ///< added to log p of these tokens
  std::uint64_t seed = 0;
};

/// Throws kInvalidArgument naming the option and its range.
void validate(const SamplerOptions& options);

/// Draws a token from log-probabilities [V] (they need not sum to 1). Ties go to the lower id. Throws kNumeric when no
/// entry is finite.
std::uint32_t sample(std::span<const float> log_probs, const SamplerOptions& options, Philox& random);

}  // namespace fabula::infer
