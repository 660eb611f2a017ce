#include "infer/inspection.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/fail.hpp"

namespace fabula::infer {
namespace {

/// The likeliest `most` of entries, which `likelier` orders, and those that `always` names.
template <class Entry, class Likelier, class Always>
void keep_likeliest(std::vector<Entry>& entries, std::size_t most, Likelier likelier, Always always) {
  const std::size_t kept = std::min(most, entries.size());
  const auto end = entries.begin() + static_cast<std::ptrdiff_t>(kept);
  std::partial_sort(entries.begin(), end, entries.end(), likelier);
  const auto named = std::find_if(end, entries.end(), always);
  if (named != entries.end()) std::iter_swap(end, named);
  entries.resize(named == entries.end() ? kept : kept + 1);
}

/// The likeliest tokens of some ids; log p less `log_p_class`. Ties go to the lower id, as in sampling.
std::vector<LikelyToken> likeliest_tokens(std::span<const float> log_probs, std::span<const std::uint32_t> ids,
                                          double log_p_class, std::uint32_t token, std::size_t most) {
  std::vector<LikelyToken> tokens;
  tokens.reserve(ids.size());
  for (const std::uint32_t id : ids) tokens.push_back({id, log_probs[id] - log_p_class});
  keep_likeliest(
      tokens, most,
      [](const LikelyToken& a, const LikelyToken& b) { return a.log_p != b.log_p ? a.log_p > b.log_p : a.id < b.id; },
      [&](const LikelyToken& entry) { return entry.id == token; });
  return tokens;
}

double log_sum(std::span<const float> log_probs, std::span<const std::uint32_t> ids) {
  float largest = -std::numeric_limits<float>::infinity();
  for (const std::uint32_t id : ids) largest = std::max(largest, log_probs[id]);
  if (!std::isfinite(largest)) return largest;
  double sum = 0;
  for (const std::uint32_t id : ids) sum += std::exp(static_cast<double>(log_probs[id]) - largest);
  return largest + std::log(sum);
}

/// The tokens of a class.
std::span<const std::uint32_t> tokens_of(const TokenMap& map, std::int64_t index) {
  const auto K = static_cast<std::int64_t>(map.shortlist.size());
  if (index < K) return std::span(map.shortlist).subspan(static_cast<std::size_t>(index), 1);
  return map.groups[static_cast<std::size_t>(index - K)];
}

Levels levels_of(std::span<const float> log_probs, const TokenMap& map, std::uint32_t token, std::size_t most) {
  Levels levels{.shortlist = static_cast<std::int64_t>(map.shortlist.size()),
                .groups = static_cast<std::int64_t>(map.groups.size()),
                .index = -1,
                .token_log_p = 0,
                .classes = {}};
  for (std::int64_t index = 0; index < levels.shortlist + levels.groups; ++index) {
    const std::span<const std::uint32_t> ids = tokens_of(map, index);
    const double log_p = log_sum(log_probs, ids);
    levels.classes.push_back({.index = index,
                              .single = index < levels.shortlist,
                              .size = static_cast<std::int64_t>(ids.size()),
                              .log_p = log_p,
                              .tokens = {}});
    if (std::find(ids.begin(), ids.end(), token) == ids.end()) continue;
    levels.index = index;
    levels.token_log_p = log_probs[token] - log_p;
  }
  keep_likeliest(
      levels.classes, most,
      [](const LikelyClass& a, const LikelyClass& b) {
        return a.log_p != b.log_p ? a.log_p > b.log_p : a.index < b.index;
      },
      [&](const LikelyClass& entry) { return entry.index == levels.index; });
  for (LikelyClass& entry : levels.classes)
    entry.tokens = likeliest_tokens(log_probs, tokens_of(map, entry.index), entry.log_p, token, most);
  return levels;
}

}  // namespace

Inspection inspect(std::span<const float> log_probs, const TokenMap* map, std::uint32_t token, std::size_t most) {
  if (token >= log_probs.size())
    fail(ErrorCode::kInvalidArgument, "there is no token {}: the vocabulary has {}", token, log_probs.size());
  if (std::any_of(log_probs.begin(), log_probs.end(), [](float log_p) { return std::isnan(log_p); }))
    fail(ErrorCode::kNumeric, "the model gave log-probabilities that are no numbers");
  std::vector<std::uint32_t> all(log_probs.size());
  std::iota(all.begin(), all.end(), 0u);
  Inspection inspection{.token = {token, log_probs[token]},
                        .rank = 1 + std::count_if(log_probs.begin(), log_probs.end(),
                                                  [&](float log_p) { return log_p > log_probs[token]; }),
                        .joint = likeliest_tokens(log_probs, all, 0, token, most),
                        .levels = std::nullopt};
  if (map != nullptr) inspection.levels = levels_of(log_probs, *map, token, most);
  return inspection;
}

}  // namespace fabula::infer
