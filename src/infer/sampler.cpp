#include "infer/sampler.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>

#include "base/fail.hpp"

namespace fabula::infer {
namespace {

struct Candidate {
  std::uint32_t id;
  double log_prob, weight;
};

bool likelier(const Candidate& a, const Candidate& b) {
  return a.log_prob != b.log_prob ? a.log_prob > b.log_prob : a.id < b.id;
}

void require_range(std::string_view name, double value, double least, double most, std::string_view meaning) {
  if (!(value >= least && value <= most))
    fail(ErrorCode::kInvalidArgument, "{} is {}; it goes from {} to {} ({})", name, value, least, most, meaning);
}

bool drawable(double log_prob) {
  return std::abs(static_cast<float>(log_prob)) < kExcluded;  // false for NaN
}

bool always_likeliest(const SamplerOptions& options) {
  return static_cast<float>(options.temperature) < kLeastTemperature;
}

/// All that can be drawn, with biases and penalties, by rising id.
std::vector<Candidate> candidates_of(std::span<const float> log_probs, const SamplerOptions& options,
                                     std::span<const std::uint32_t> counts) {
  std::vector<double> bias(log_probs.size());
  for (const auto& [id, added] : options.logit_bias) bias.at(id) += added;
  std::vector<Candidate> candidates;
  for (std::uint32_t id = 0; id < log_probs.size(); ++id) {
    double l = log_probs[id];
    if (!drawable(l)) continue;
    if (!counts.empty() && counts[id] != 0) {
      const std::uint32_t times = counts[id] & ~kInPrompt;
      l *= options.repetition_penalty;
      if (times > 0) l -= options.presence_penalty + options.frequency_penalty * times;
    }
    l += bias[id];
    if (drawable(l)) candidates.push_back({id, l, 0});
  }
  if (candidates.empty())
    fail(ErrorCode::kNumeric, "the model gave no finite log-probability over {} tokens", log_probs.size());
  return candidates;
}

/// What may be drawn, with weights, by rising id.
std::vector<Candidate> kept_candidates(std::span<const float> log_probs, const SamplerOptions& options,
                                       std::span<const std::uint32_t> counts) {
  std::vector<Candidate> kept = candidates_of(log_probs, options, counts);
  const Candidate top = *std::min_element(kept.begin(), kept.end(), likelier);
  if (always_likeliest(options)) return {{top.id, top.log_prob, 1}};
  for (Candidate& c : kept) c.weight = std::exp((c.log_prob - top.log_prob) / options.temperature);
  std::sort(kept.begin(), kept.end(), likelier);
  if (options.top_k > 0 && options.top_k < kept.size()) kept.resize(options.top_k);
  if (options.top_p < 1) {
    double total = 0, sum = 0;
    for (const Candidate& c : kept) total += c.weight;
    std::size_t count = 0;
    do sum += kept[count++].weight;
    while (count < kept.size() && sum < options.top_p * total);
    kept.resize(count);
  }
  std::erase_if(kept, [&](const Candidate& c) { return c.weight < options.min_p; });  // the likeliest weighs 1
  std::sort(kept.begin(), kept.end(), [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
  return kept;
}

double total_weight(const std::vector<Candidate>& kept) {
  double total = 0;
  for (const Candidate& c : kept) total += c.weight;
  return total;
}

}  // namespace

void validate(const SamplerOptions& options) {
  constexpr double kMostPenalty = 100, kMostBias = 1e6;
  require_range("temperature", options.temperature, 0, 100, "0: always the likeliest token");
  if (!(options.top_p > 0 && options.top_p <= 1))
    fail(ErrorCode::kInvalidArgument, "top-p is {}; it goes from above 0 to 1 (all tokens)", options.top_p);
  require_range("min-p", options.min_p, 0, 1, "0: all tokens");
  if (!(options.repetition_penalty > 0 && options.repetition_penalty <= kMostPenalty))
    fail(ErrorCode::kInvalidArgument, "the repetition penalty is {}; it goes from above 0 to {} (1: none)",
         options.repetition_penalty, kMostPenalty);
  require_range("the presence penalty", options.presence_penalty, -kMostPenalty, kMostPenalty, "0: none");
  require_range("the frequency penalty", options.frequency_penalty, -kMostPenalty, kMostPenalty, "0: none");
  for (const auto& [id, bias] : options.logit_bias)
    if (!(bias <= kMostBias) || (bias < -kMostBias && drawable(bias)))
      fail(ErrorCode::kInvalidArgument,
           "the bias of token {} is {}; it goes from -{} to {}, and -1e30 or less rules a token out", id, bias,
           kMostBias, kMostBias);
}

bool uses_counts(const SamplerOptions& options) {
  return options.repetition_penalty != 1 || options.presence_penalty != 0 || options.frequency_penalty != 0;
}

void set_sampling(std::span<std::uint32_t> slot, const SamplerOptions& options) {
  const auto bits = [](double x) { return std::bit_cast<std::uint32_t>(static_cast<float>(x)); };
  slot[kSlotSeed] = static_cast<std::uint32_t>(options.seed);
  slot[kSlotSeed + 1] = static_cast<std::uint32_t>(options.seed >> 32);
  slot[kSlotTemperature] = bits(options.temperature);
  slot[kSlotTopK] = options.top_k;
  slot[kSlotTopP] = bits(options.top_p);
  slot[kSlotMinP] = bits(options.min_p);
  slot[kSlotRepetition] = bits(options.repetition_penalty);
  slot[kSlotPresence] = bits(options.presence_penalty);
  slot[kSlotFrequency] = bits(options.frequency_penalty);
  slot[kSlotFlags] = (uses_counts(options) ? kUsesCounts : 0) | (options.logit_bias.empty() ? 0 : kUsesBias);
}

double draw_at(std::uint64_t seed, std::uint32_t position) {
  const auto block = philox4x32({position, 0, 0, kDrawStream},
                                {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return block[0] * 0x1p-32;
}

std::uint32_t sample(std::span<const float> log_probs, const SamplerOptions& options, double draw,
                     std::span<const std::uint32_t> counts) {
  const std::vector<Candidate> kept = kept_candidates(log_probs, options, counts);
  double left = draw * total_weight(kept);
  for (const Candidate& c : kept)
    if ((left -= c.weight) < 0) return c.id;
  return kept.back().id;
}

std::vector<double> probabilities(std::span<const float> log_probs, const SamplerOptions& options,
                                  std::span<const std::uint32_t> counts) {
  const std::vector<Candidate> kept = kept_candidates(log_probs, options, counts);
  std::vector<double> result(log_probs.size());
  const double total = total_weight(kept);
  for (const Candidate& c : kept) result[c.id] = c.weight / total;
  return result;
}

}  // namespace fabula::infer
