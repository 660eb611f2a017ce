#include "train/regroup.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "base/fail.hpp"
#include "maps/build_token_map.hpp"

namespace fabula::train {
namespace {

constexpr std::uint32_t kNoGroup = std::numeric_limits<std::uint32_t>::max();

// How much of what tells a token from its old group goes into the vector of the new one. All of it is the slope of the
// group's score about h = 0, but groups are decided between far from there, where a score bends. Validation loss of a
// small run, 3.89 before its map was made again after step 150, with none, half and all: 4.15, 4.02, 4.14; ten steps
// on 4.02, 3.94, 3.94.
constexpr double kSlope = 0.5;

/// Where the tokens are, by token.
struct Places {
  explicit Places(const TokenMap& map) {
    std::size_t tokens = map.shortlist.size();
    for (const auto& members : map.groups) tokens += members.size();
    group.assign(tokens, kNoGroup);
    slot.assign(tokens, 0);
    for (std::size_t g = 0; g < map.groups.size(); ++g)
      for (std::size_t s = 0; s < map.groups[g].size(); ++s) {
        group.at(map.groups[g][s]) = static_cast<std::uint32_t>(g);
        slot[map.groups[g][s]] = static_cast<std::uint32_t>(s);
      }
  }
  std::vector<std::uint32_t> group, slot;  ///< of a token of the shortlist: kNoGroup
};

/// What a token weighs in a mean: one that was never seen a little.
double weight_of(std::uint64_t count) {
  return static_cast<double>(count) + 1;
}

void check(const TokenMap& from, const TokenMap& to, std::span<const std::uint64_t> counts) {
  ensure(from.shortlist == to.shortlist && from.groups.size() == to.groups.size(),
         "maps of {} and {} groups with shortlists of {} and {}", from.groups.size(), to.groups.size(),
         from.shortlist.size(), to.shortlist.size());
  ensure(Places(from).group.size() == counts.size() && Places(to).group.size() == counts.size(),
         "{} token counts for maps of {} tokens", counts.size(), Places(from).group.size());
}

/// Means over the tokens of each group; `add(token, weight, mean)` adds a token's numbers. [G, width]
template <class Add>
std::vector<double> group_means(const TokenMap& map, std::span<const std::uint64_t> counts, std::size_t width,
                                const Add& add) {
  std::vector<double> means(map.groups.size() * width, 0);
  for (std::size_t g = 0; g < map.groups.size(); ++g) {
    double total = 0;
    for (const std::uint32_t token : map.groups[g]) total += weight_of(counts[token]);
    for (const std::uint32_t token : map.groups[g])
      add(token, weight_of(counts[token]) / total, means.data() + g * width);
  }
  return means;
}

double log_sum_exp(std::span<const double> values) {
  const double largest = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (const double value : values) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

/// Of a zero hidden vector: log p(v) but for the first level's normaliser, which the move does not change. [V]; 0 of
/// the shortlist's.
std::vector<double> token_scores(const TokenMap& map, const GroupNumbers& numbers, std::size_t tokens) {
  std::vector<double> scores(tokens, 0);
  std::vector<double> shifts;
  for (std::size_t g = 0; g < map.groups.size(); ++g) {
    const auto& group = map.groups[g];
    const float* const row = numbers.shift.data() + g * static_cast<std::size_t>(numbers.slots);
    shifts.assign(row, row + group.size());
    const double base = double{numbers.bias[map.shortlist.size() + g]} - log_sum_exp(shifts);
    for (std::size_t s = 0; s < group.size(); ++s) scores[group[s]] = base + shifts[s];
  }
  return scores;
}

void move_biases(const TokenMap& from, const TokenMap& to, std::span<const std::uint64_t> counts,
                 GroupNumbers& numbers) {
  const std::vector<double> scores = token_scores(from, numbers, counts.size());
  std::fill(numbers.shift.begin(), numbers.shift.end(), 0.0f);
  std::vector<double> of_group;
  for (std::size_t g = 0; g < to.groups.size(); ++g) {
    of_group.clear();
    for (const std::uint32_t token : to.groups[g]) of_group.push_back(scores[token]);
    const double bias = log_sum_exp(of_group);
    numbers.bias[to.shortlist.size() + g] = static_cast<float>(bias);
    for (std::size_t s = 0; s < of_group.size(); ++s)
      numbers.shift[g * static_cast<std::size_t>(numbers.slots) + s] = static_cast<float>(of_group[s] - bias);
  }
}

/// How the groups of a map are cut: by mass where they are as mass_bands has them, else all alike.
std::vector<SizeBand> bands_of(const TokenMap& map, std::int64_t vocabulary, std::int64_t slots) {
  const auto shortlist = static_cast<std::int64_t>(map.shortlist.size()),
             groups = static_cast<std::int64_t>(map.groups.size());
  std::vector<SizeBand> bands = mass_bands(shortlist, vocabulary, groups);
  auto group = map.groups.begin();
  for (SizeBand& band : bands) {
    std::int64_t tokens = 0, most = 0;
    for (const auto end = group + band.groups; group != end; ++group) {
      tokens += static_cast<std::int64_t>(group->size());
      most = std::max(most, static_cast<std::int64_t>(group->size()));
    }
    if (tokens != band.tokens || most > band.slots) return {{vocabulary - shortlist, groups, slots}};
    band.slots = std::min(band.slots, slots);
  }
  return bands;
}

/// Gives groups [first, end) of `to` the numbers of those of `from` that they share most text with, the largest share
/// first.
void number_alike(const TokenMap& from, std::span<const std::uint64_t> counts, std::size_t first, std::size_t end,
                  TokenMap& to) {
  const Places before(from);
  using Share = std::tuple<double, std::size_t, std::size_t>;  // minus its weight, group now, group before
  std::vector<Share> shares;
  for (std::size_t g = first; g < end; ++g) {
    std::map<std::size_t, double> of_group;
    for (const std::uint32_t token : to.groups[g]) of_group[before.group[token]] += weight_of(counts[token]);
    for (const auto& [old, weight] : of_group)
      if (old >= first && old < end) shares.emplace_back(-weight, g, old);
  }
  std::sort(shares.begin(), shares.end());
  constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  std::vector<std::size_t> now_of(end, kNone);  // by the number that it gets
  std::vector<bool> done(end);
  for (const auto& [weight, now, old] : shares)
    if (!done[now] && now_of[old] == kNone) {
      now_of[old] = now;
      done[now] = true;
    }
  std::size_t free = first;
  for (std::size_t now = first; now < end; ++now) {
    if (done[now]) continue;
    while (now_of[free] != kNone) ++free;
    now_of[free] = now;
  }
  const TokenMap made = to;
  for (std::size_t g = first; g < end; ++g) {
    to.groups[g] = made.groups[now_of[g]];
    if (!made.shares.empty()) to.shares[g] = made.shares[now_of[g]];
  }
}

}  // namespace

std::vector<float> input_rows(const GroupNumbers& numbers, const TokenMap& map) {
  std::vector<float> rows = numbers.rows;
  if (!numbers.class_input) return rows;
  const auto width = static_cast<std::size_t>(numbers.hidden);
  for (std::size_t g = 0; g < map.groups.size(); ++g)
    for (const std::uint32_t token : map.groups[g])
      for (std::size_t d = 0; d < width; ++d) rows[token * width + d] += numbers.vectors[g * width + d];
  return rows;
}

TokenMap regroup(const TokenMap& map, std::span<const float> inputs, std::span<const std::uint64_t> counts,
                 const RegroupOptions& options) {
  const maps::TokenVectors vectors = maps::relative_embedding_vectors(inputs, options.hidden, counts, options.source);
  const std::vector<SizeBand> bands = bands_of(map, static_cast<std::int64_t>(counts.size()), options.slots);
  TokenMap result = maps::clustered_map({.kind = GroupMap::kClustered,
                                         .shortlist = static_cast<std::int64_t>(map.shortlist.size()),
                                         .groups = static_cast<std::int64_t>(map.groups.size()),
                                         .slots = options.slots,
                                         .seed = options.seed,
                                         .threads = options.threads,
                                         .shortlist_tokens = map.shortlist,
                                         .bands = bands},
                                        counts, vectors);
  std::size_t first = 0;
  for (const SizeBand& band : bands) {
    const std::size_t end = first + static_cast<std::size_t>(band.groups);
    number_alike(map, counts, first, end, result);
    first = end;
  }
  return result;
}

Moved moved(const TokenMap& from, const TokenMap& to, std::span<const std::uint64_t> counts) {
  const Places before(from), after(to);
  double tokens = 0, text = 0, total = 0;
  for (std::size_t v = 0; v < counts.size(); ++v) {
    total += static_cast<double>(counts[v]);
    if (before.group[v] == after.group[v]) continue;
    ++tokens;
    text += static_cast<double>(counts[v]);
  }
  return {tokens / static_cast<double>(counts.size()), total > 0 ? text / total : 0};
}

void move_weights(const TokenMap& from, const TokenMap& to, std::span<const std::uint64_t> counts,
                  GroupNumbers& numbers) {
  check(from, to, counts);
  const auto width = static_cast<std::size_t>(numbers.hidden);
  const Places before(from);
  // About h = 0 a token's score grows by h . (w[g] + e[v] - the mean of e in g), a group's by the mean of its tokens'.
  const std::vector<double> mean_rows =
      group_means(from, counts, width, [&](std::uint32_t token, double weight, double* mean) {
        for (std::size_t d = 0; d < width; ++d) mean[d] += weight * numbers.rows[token * width + d];
      });
  const std::vector<double> means =
      group_means(to, counts, width, [&](std::uint32_t token, double weight, double* mean) {
        const std::size_t old = before.group[token] * width;
        for (std::size_t d = 0; d < width; ++d)
          mean[d] +=
              weight *
              ((double{numbers.vectors[old + d]} + kSlope * (numbers.rows[token * width + d] - mean_rows[old + d])));
      });
  const std::vector<float> old_vectors = std::exchange(numbers.vectors, {means.begin(), means.end()});
  if (numbers.class_input)
    for (std::size_t g = 0; g < to.groups.size(); ++g)
      for (const std::uint32_t token : to.groups[g])
        for (std::size_t d = 0; d < width; ++d)
          numbers.rows[token * width + d] =
              static_cast<float>(double{numbers.rows[token * width + d]} +
                                 old_vectors[before.group[token] * width + d] - numbers.vectors[g * width + d]);
  move_biases(from, to, counts, numbers);
}

void move_moments(const TokenMap& from, const TokenMap& to, std::span<const std::uint64_t> counts,
                  GroupNumbers& moments) {
  check(from, to, counts);
  const auto width = static_cast<std::size_t>(moments.hidden), slots = static_cast<std::size_t>(moments.slots);
  const Places before(from);
  const std::vector<double> vectors =
      group_means(to, counts, width, [&](std::uint32_t token, double weight, double* mean) {
        for (std::size_t d = 0; d < width; ++d) mean[d] += weight * moments.vectors[before.group[token] * width + d];
      });
  moments.vectors.assign(vectors.begin(), vectors.end());
  const std::vector<double> bias = group_means(to, counts, 1, [&](std::uint32_t token, double weight, double* mean) {
    *mean += weight * moments.bias[from.shortlist.size() + before.group[token]];
  });
  std::copy(bias.begin(), bias.end(), moments.bias.begin() + static_cast<std::ptrdiff_t>(from.shortlist.size()));
  const std::vector<float> shift = std::exchange(moments.shift, std::vector<float>(moments.shift.size(), 0.0f));
  for (std::size_t g = 0; g < to.groups.size(); ++g)
    for (std::size_t s = 0; s < to.groups[g].size(); ++s) {
      const std::uint32_t token = to.groups[g][s];
      moments.shift[g * slots + s] = shift[before.group[token] * slots + before.slot[token]];
    }
}

}  // namespace fabula::train
