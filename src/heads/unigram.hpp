#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graph/parameters.hpp"
#include "heads/token_groups.hpp"

// What output biases start from: a model that knows nothing of the context predicts the tokens' frequencies.
namespace fabula::heads {

/// log p(v) [V] of counts smoothed by a tenth; empty for no counts.
std::vector<double> unigram_log_probs(std::span<const std::uint64_t> counts);

/// The same by class of a map, [K + G], and of each token within its class, [M] in map order; a token's logarithm
/// within its group is not below -15.
struct LevelLogProbs {
  std::vector<double> classes, within;
};
LevelLogProbs level_log_probs(const TokenGroups& tokens, std::span<const std::uint64_t> counts);

/// A bias [1, n] that starts at `values`, or at zero where there are none.
graph::ParameterSpec bias_spec(std::string name, std::span<const double> values, std::int64_t n);

}  // namespace fabula::heads
