#include "infer/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/fail.hpp"

namespace fabula::infer {
namespace {

struct Candidate {
  std::uint32_t id;
  float log_prob;
};

bool likelier(const Candidate& a, const Candidate& b) {
  return a.log_prob != b.log_prob ? a.log_prob > b.log_prob : a.id < b.id;
}

}  // namespace

void validate(const SamplerOptions& options) {
  if (!(options.temperature >= 0 && options.temperature <= 100))
    fail(ErrorCode::kInvalidArgument, "temperature is {}; it goes from 0 (always the likeliest token) to 100",
         options.temperature);
  if (!(options.top_p > 0 && options.top_p <= 1))
    fail(ErrorCode::kInvalidArgument, "top-p is {}; it goes from above 0 to 1 (all tokens)", options.top_p);
}

std::uint32_t sample(std::span<const float> log_probs, const SamplerOptions& options, Philox& random) {
  std::vector<Candidate> candidates;
  candidates.reserve(log_probs.size());
  for (std::uint32_t id = 0; id < log_probs.size(); ++id)
    if (std::isfinite(log_probs[id])) candidates.push_back({id, log_probs[id]});
  if (candidates.empty())
    fail(ErrorCode::kNumeric, "the model gave no finite log-probability over {} tokens", log_probs.size());
  if (options.temperature == 0) return std::min_element(candidates.begin(), candidates.end(), likelier)->id;

  // Everything after the k likeliest is dropped first; top-p then needs them in falling order.
  if (options.top_k > 0 && options.top_k < candidates.size()) {
    std::nth_element(candidates.begin(), candidates.begin() + options.top_k, candidates.end(), likelier);
    candidates.resize(options.top_k);
  }
  if (options.top_p < 1) std::sort(candidates.begin(), candidates.end(), likelier);
  const float top = std::min_element(candidates.begin(), candidates.end(), likelier)->log_prob;
  std::vector<double> weights(candidates.size());
  double total = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i)
    total += weights[i] = std::exp((static_cast<double>(candidates[i].log_prob) - top) / options.temperature);
  std::size_t kept = candidates.size();
  if (options.top_p < 1) {
    double sum = 0;
    for (kept = 0; kept < candidates.size() && sum < options.top_p * total;) sum += weights[kept++];
    total = sum;
  }
  double draw = random.uniform() * total;
  for (std::size_t i = 0; i < kept; ++i)
    if ((draw -= weights[i]) < 0) return candidates[i].id;
  return candidates[kept - 1].id;
}

}  // namespace fabula::infer
