#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/decode_slot.hpp"
#include "base/philox.hpp"

namespace fabula::infer {

/// How a token is drawn from log-probabilities. In this order: penalties and biases move them; temperature; then top-k,
/// top-p of what that leaves, min-p. Ties go to the lower id.
struct SamplerOptions {
  double temperature = 0.8;         ///< 0: always the likeliest token
  std::uint32_t top_k = 0;          ///< only the k likeliest; 0: all
  double top_p = 1.0;               ///< only the smallest set whose probability reaches p
  double min_p = 0.0;               ///< only tokens at least this probable, relative to the likeliest
  double repetition_penalty = 1.0;  ///< log p of tokens in prompt or text is multiplied by this
  double presence_penalty = 0.0;    ///< subtracted once from log p of tokens in the text ...
  double frequency_penalty = 0.0;   ///< ... and this once for each time
  std::vector<std::pair<std::uint32_t, double>> logit_bias =
      {};  ///< added to log p of these tokens; -1e30: never drawn
  std::uint64_t seed = 0;
};

/// Throws kInvalidArgument naming the option and its range.
void validate(const SamplerOptions& options);

/// Whether a token's past changes its probability: counts (base/decode_slot.hpp) have to be kept.
bool uses_counts(const SamplerOptions& options);

/// Sets what a slot has of these options: seed, temperature to flags.
void set_sampling(std::span<std::uint32_t> slot, const SamplerOptions& options);

/// The number in [0, 1) that decides which token comes to stand at a position; devices use the same.
double draw_at(std::uint64_t seed, std::uint32_t position);

/// The token for a `draw` in [0, 1), from log-probabilities [V] (they need not sum to 1): what ops/sample_tokens.cpp
/// draws, in double. `counts` [V] as in base/decode_slot.hpp; empty: no token has come yet. Throws kNumeric when no
/// entry can be drawn.
std::uint32_t sample(std::span<const float> log_probs, const SamplerOptions& options, double draw,
                     std::span<const std::uint32_t> counts = {});

/// The probability with which `sample` draws each token [V].
std::vector<double> probabilities(std::span<const float> log_probs, const SamplerOptions& options,
                                  std::span<const std::uint32_t> counts = {});

inline std::uint32_t sample(std::span<const float> log_probs, const SamplerOptions& options, Philox& random) {
  return sample(log_probs, options, random.uniform());
}

}  // namespace fabula::infer
