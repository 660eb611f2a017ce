#include "heads/unigram.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"

namespace fabula::heads {
namespace {
constexpr double kSmoothing = 0.1;  ///< added to every count
constexpr double kLowest = -15;     ///< of a logarithm within a group: unseen tokens must stay in reach of training
}  // namespace

std::vector<double> unigram_log_probs(std::span<const std::uint64_t> counts) {
  double total = 0;
  for (const std::uint64_t count : counts) total += static_cast<double>(count) + kSmoothing;
  std::vector<double> log_probs;
  for (const std::uint64_t count : counts)
    log_probs.push_back(std::log((static_cast<double>(count) + kSmoothing) / total));
  return log_probs;
}

LevelLogProbs level_log_probs(const TokenGroups& tokens, std::span<const std::uint64_t> counts) {
  if (counts.empty()) return {};
  ensure(static_cast<std::int64_t>(counts.size()) == tokens.vocabulary(), "{} token counts for {} tokens",
         counts.size(), tokens.vocabulary());
  const std::vector<double> log_probs = unigram_log_probs(counts);
  LevelLogProbs levels;
  for (const std::uint32_t token : tokens.map().shortlist) levels.classes.push_back(log_probs[token]);
  for (const auto& group : tokens.map().groups) {
    double mass = 0;
    for (const std::uint32_t token : group) mass += std::exp(log_probs[token]);
    levels.classes.push_back(std::log(mass));
    for (const std::uint32_t token : group)
      levels.within.push_back(std::max(log_probs[token] - levels.classes.back(), kLowest));
  }
  return levels;
}

graph::ParameterSpec bias_spec(std::string name, std::span<const double> values, std::int64_t n) {
  graph::ParameterSpec spec{
      .name = std::move(name), .shape = {1, n}, .is_vector = true, .init = graph::Init::kZeros, .decay = false};
  if (values.empty()) return spec;
  ensure(static_cast<std::int64_t>(values.size()) == n, "{}: {} starting values for {}", spec.name, values.size(), n);
  spec.init = graph::Init::kValues;
  spec.values = std::make_shared<const std::vector<float>>(values.begin(), values.end());
  return spec;
}

}  // namespace fabula::heads
