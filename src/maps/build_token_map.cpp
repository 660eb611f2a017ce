#include "maps/build_token_map.hpp"

#include <algorithm>
#include <numeric>
#include <queue>

#include "base/ceil_div.hpp"
#include "base/fail.hpp"
#include "base/philox.hpp"
#include "maps/balanced_clusters.hpp"
#include "maps/token_counts.hpp"

namespace fabula::maps {
namespace {

using Groups = std::vector<std::vector<std::uint32_t>>;

/// What every kind starts from: the resolved options, and the vocabulary cut into shortlist and tail.
struct Parts {
  MapOptions options;
  std::vector<std::uint32_t> shortlist, tail;  ///< in falling frequency
};

void keep_shortlist(std::span<const std::uint32_t> tokens, std::span<const std::uint32_t> order, Parts& parts) {
  ensure(tokens.size() == parts.shortlist.size(), "{} tokens for a shortlist of {}", tokens.size(),
         parts.shortlist.size());
  std::vector<bool> taken(order.size());
  for (const std::uint32_t token : tokens) taken.at(token) = true;
  parts.shortlist.assign(tokens.begin(), tokens.end());
  parts.tail.clear();
  std::copy_if(order.begin(), order.end(), std::back_inserter(parts.tail),
               [&](std::uint32_t token) { return !taken[token]; });
}

Parts cut(const MapOptions& options, std::span<const std::uint64_t> counts) {
  Parts parts;
  parts.options = resolve_map_options(options, static_cast<std::int64_t>(counts.size()));
  const std::vector<std::uint32_t> order = tokens_by_frequency(counts);
  const auto middle = order.begin() + options.shortlist;
  parts.shortlist.assign(order.begin(), middle);
  parts.tail.assign(middle, order.end());
  if (!options.shortlist_tokens.empty()) keep_shortlist(options.shortlist_tokens, order, parts);
  return parts;
}

/// The tail's bands; one where all groups are alike.
std::vector<SizeBand> bands_of(const Parts& parts) {
  const MapOptions& options = parts.options;
  const auto tail = static_cast<std::int64_t>(parts.tail.size());
  if (!options.bands.empty()) return {options.bands.begin(), options.bands.end()};
  if (options.sizes == GroupSizes::kMass)
    return mass_bands(options.shortlist, options.shortlist + tail, options.groups);
  return {{tail, options.groups, options.slots}};
}

/// Calls visit(band, its tokens) for bands of the tail.
template <class Visit>
void for_each_band(std::span<const SizeBand> bands, std::span<const std::uint32_t> tail, Visit visit) {
  std::size_t at = 0;
  for (const SizeBand& band : bands) {
    visit(band, tail.subspan(at, static_cast<std::size_t>(band.tokens)));
    at += static_cast<std::size_t>(band.tokens);
  }
}

void append(Groups& groups, Groups more) {
  groups.insert(groups.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

Groups split(std::span<const std::uint32_t> order, const SizeBand& band) {
  const std::vector<std::int64_t> begins = even_group_begins(band.tokens, band.groups, band.slots);
  Groups groups;
  for (std::size_t g = 0; g + 1 < begins.size(); ++g)
    groups.emplace_back(order.begin() + begins[g], order.begin() + begins[g + 1]);
  return groups;
}

Groups random_groups(const Parts& parts) {
  Groups groups;
  Philox random(parts.options.seed);
  for_each_band(bands_of(parts), parts.tail, [&](const SizeBand& band, std::span<const std::uint32_t> tokens) {
    std::vector<std::uint32_t> order(tokens.begin(), tokens.end());
    std::sort(order.begin(), order.end());
    for (std::size_t left = order.size(); left > 1; --left)
      std::swap(order[left - 1], order[random.below(static_cast<std::uint32_t>(left))]);
    append(groups, split(order, band));
  });
  return groups;
}

// Each token, in falling frequency, goes to the group of least mass that has room. A token that is not in the text
// weighs a tenth of one that is once, so that those are spread as well.
Groups frequency_groups(const Parts& parts, std::span<const std::uint64_t> counts) {
  using Load = std::pair<std::uint64_t, std::size_t>;  // mass, group: of equal masses the first group
  std::priority_queue<Load, std::vector<Load>, std::greater<>> open;
  Groups groups(static_cast<std::size_t>(parts.options.groups));
  for (std::size_t g = 0; g < groups.size(); ++g) open.emplace(0, g);
  for (const std::uint32_t token : parts.tail) {
    const auto [mass, g] = open.top();
    open.pop();
    groups[g].push_back(token);
    if (groups[g].size() < static_cast<std::size_t>(parts.options.slots))
      open.emplace(mass + 10 * counts[token] + 1, g);
  }
  return groups;
}

// Puts tokens that no cluster has asked for where there is room: one into each empty group, then group by group in
// rising mass, since the tokens that go unseen cost least where few positions look.
void fill_groups(std::span<const std::uint32_t> tokens, std::int64_t slots, std::span<const std::uint64_t> counts,
                 Groups& groups) {
  std::vector<std::uint64_t> masses(groups.size());
  std::vector<std::size_t> order(groups.size());
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (const std::uint32_t token : groups[g]) masses[g] += counts[token];
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t l, std::size_t r) { return masses[l] < masses[r]; });
  auto next = tokens.begin();
  for (const std::size_t g : order)
    if (groups[g].empty() && next != tokens.end()) groups[g].push_back(*next++);
  for (const std::size_t g : order)
    while (groups[g].size() < static_cast<std::size_t>(slots) && next != tokens.end()) groups[g].push_back(*next++);
  ensure(next == tokens.end(), "{} groups of {} have no room for {} more tokens", groups.size(), slots,
         tokens.end() - next);
  // A centre may have attracted nobody while every token was seen.
  for (std::vector<std::uint32_t>& group : groups) {
    if (!group.empty()) continue;
    auto& largest = *std::max_element(groups.begin(), groups.end(),
                                      [](const auto& l, const auto& r) { return l.size() < r.size(); });
    group.push_back(largest.back());
    largest.pop_back();
  }
}

/// Clusters of a band's tokens, which are in falling frequency.
Groups clustered_groups(const SizeBand& band, std::span<const std::uint32_t> tokens, const MapOptions& options,
                        std::span<const std::uint64_t> counts, const TokenVectors& vectors) {
  std::vector<bool> open(counts.size());
  for (const std::uint32_t token : tokens) open[token] = true;
  const auto takes = [&](std::uint32_t token) { return bool(open[token]); };
  const std::int64_t seen = std::count_if(vectors.tokens.begin(), vectors.tokens.end(), takes);
  Groups groups;
  if (seen > 0) {
    const std::vector<float> centres = cluster_centres(vectors, counts, band.groups, options.seed, options.threads);
    const std::int64_t clusters = static_cast<std::int64_t>(centres.size()) / vectors.dims;
    const std::int64_t room = std::min(band.slots, ceil_div(5 * seen, 4 * clusters));
    groups = assign_balanced(vectors, centres, room, takes);
  }
  groups.resize(static_cast<std::size_t>(band.groups));
  for (const auto& group : groups)
    for (const std::uint32_t token : group) open[token] = false;
  std::vector<std::uint32_t> left;
  std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(left), takes);
  fill_groups(left, band.slots, counts, groups);
  return groups;
}

/// The vectors of some tokens, in the same order.
TokenVectors vectors_of(const TokenVectors& vectors, std::span<const std::uint32_t> tokens, std::size_t vocabulary) {
  std::vector<bool> wanted(vocabulary);
  for (const std::uint32_t token : tokens) wanted[token] = true;
  TokenVectors result{{}, vectors.dims, {}};
  for (std::size_t i = 0; i < vectors.tokens.size(); ++i) {
    if (!wanted[vectors.tokens[i]]) continue;
    result.tokens.push_back(vectors.tokens[i]);
    const auto row = vectors.rows.begin() + static_cast<std::ptrdiff_t>(i) * vectors.dims;
    result.rows.insert(result.rows.end(), row, row + vectors.dims);
  }
  return result;
}

TokenMap with_shares(TokenMap map, std::span<const std::uint64_t> counts) {
  const auto total = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
  for (const auto& group : map.groups) {
    std::uint64_t mass = 0;
    for (const std::uint32_t token : group) mass += counts[token];
    map.shares.push_back(total > 0 ? static_cast<double>(mass) / total : 0);
  }
  return map;
}

/// Of groups by mass, where `options` has the other sizes.
MapOptions resolve_mass(const MapOptions& options, std::int64_t vocabulary) {
  const std::int64_t tail = vocabulary - options.shortlist;
  if (options.kind != GroupMap::kClustered && options.kind != GroupMap::kRandom)
    fail(ErrorCode::kInvalidArgument, "group_sizes is mass, the map {}; choose clustered or random",
         group_map_name(options.kind));
  MapOptions resolved = options;
  if (options.groups == 0) resolved.groups = default_mass_groups(tail);
  if (resolved.groups < 1 || resolved.groups > tail)
    fail(ErrorCode::kInvalidArgument, "groups is {}, {} tokens are to be grouped; choose 1 to {}", options.groups, tail,
         tail);
  resolved.slots = most_slots(mass_bands(options.shortlist, vocabulary, resolved.groups));
  if (options.slots != 0 && options.slots != resolved.slots)
    fail(ErrorCode::kInvalidArgument, "group_size is {}; of groups by mass it follows from the rest and is {}",
         options.slots, resolved.slots);
  return resolved;
}

}  // namespace

MapOptions resolve_map_options(const MapOptions& options, std::int64_t vocabulary) {
  const std::int64_t tail = vocabulary - options.shortlist;
  if (options.shortlist < 0 || tail < 1) {
    fail(ErrorCode::kInvalidArgument,
         "shortlist is {}, the vocabulary has {} tokens and groups need some; choose 0 to {}", options.shortlist,
         vocabulary, vocabulary - 1);
  }
  if (options.sizes == GroupSizes::kMass) return resolve_mass(options, vocabulary);
  MapOptions resolved = options;
  if (options.slots == 0) resolved.slots = default_group_size(tail);
  if (resolved.slots < 1 || resolved.slots > tail) {
    fail(ErrorCode::kInvalidArgument,
         "group_size is {}, {} tokens are to be grouped (vocabulary {}, shortlist {}); "
         "choose 1 to {}",
         options.slots, tail, vocabulary, options.shortlist, tail);
  }
  const std::int64_t needed = ceil_div(tail, resolved.slots),
                     most = options.kind == GroupMap::kIdRanges ? needed : tail;
  if (options.groups == 0) resolved.groups = needed;
  if (resolved.groups < needed || resolved.groups > most) {
    fail(ErrorCode::kInvalidArgument, "groups is {}, {} tokens in groups of up to {} need {}", options.groups, tail,
         resolved.slots, most == needed ? fmt::format("{}", needed) : fmt::format("{} to {}", needed, most));
  }
  return resolved;
}

TokenMap build_token_map(const MapOptions& options, std::span<const std::uint64_t> counts) {
  Parts parts = cut(options, counts);
  switch (options.kind) {
    case GroupMap::kIdRanges:
      std::sort(parts.tail.begin(), parts.tail.end());
      return with_shares({parts.shortlist, split(parts.tail, {std::int64_t(parts.tail.size()), parts.options.groups,
                                                              parts.options.slots})},
                         counts);
    case GroupMap::kRandom:
      return with_shares({parts.shortlist, random_groups(parts)}, counts);
    case GroupMap::kFrequency:
      return with_shares({parts.shortlist, frequency_groups(parts, counts)}, counts);
    default:
      fail(ErrorCode::kInvalidArgument, "a map of kind {} is not made from token counts", group_map_name(options.kind));
  }
}

TokenMap build_token_map(const MapOptions& options, const text::TokenFile& file) {
  return build_token_map(options, file, token_counts(file));
}

TokenMap build_token_map(const MapOptions& options, const text::TokenFile& file,
                         std::span<const std::uint64_t> counts) {
  if (options.kind != GroupMap::kClustered) return build_token_map(options, counts);
  resolve_map_options(options, file.vocab_size());  // before the work
  return clustered_map(options, counts, neighbour_vectors(file, counts, options.seed, options.threads));
}

TokenMap clustered_map(const MapOptions& options, std::span<const std::uint64_t> counts, const TokenVectors& vectors) {
  const Parts parts = cut(options, counts);
  const std::vector<SizeBand> bands = bands_of(parts);
  TokenMap map{parts.shortlist, {}};
  for_each_band(bands, parts.tail, [&](const SizeBand& band, std::span<const std::uint32_t> tokens) {
    const auto cluster = [&](const TokenVectors& of) {
      append(map.groups, clustered_groups(band, tokens, parts.options, counts, of));
    };
    if (bands.size() > 1)
      cluster(vectors_of(vectors, tokens, counts.size()));
    else
      cluster(vectors);
  });
  return with_shares(std::move(map), counts);
}

TokenMap frequency_clusters(std::span<const std::uint64_t> counts, std::span<const std::int64_t> cutoffs) {
  const auto vocabulary = static_cast<std::int64_t>(counts.size());
  std::int64_t before = 0;
  for (const std::int64_t cutoff : cutoffs) {
    if (cutoff <= before || cutoff >= vocabulary) {
      fail(ErrorCode::kInvalidArgument, "cutoffs has {} after {}; cutoffs rise from 1 to {} at most", cutoff, before,
           vocabulary - 1);
    }
    before = cutoff;
  }
  if (cutoffs.empty()) fail(ErrorCode::kInvalidArgument, "cutoffs is empty; name 1 rank or more");
  const std::vector<std::uint32_t> order = tokens_by_frequency(counts);
  TokenMap map;
  map.shortlist.assign(order.begin(), order.begin() + cutoffs.front());
  for (std::size_t i = 0; i < cutoffs.size(); ++i) {
    const std::int64_t end = i + 1 < cutoffs.size() ? cutoffs[i + 1] : vocabulary;
    map.groups.emplace_back(order.begin() + cutoffs[i], order.begin() + end);
  }
  return with_shares(std::move(map), counts);
}

double shortlist_mass(const TokenMap& map, std::span<const std::uint64_t> counts) {
  const auto total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  std::uint64_t mass = 0;
  for (const std::uint32_t token : map.shortlist) mass += counts[token];
  return total > 0 ? static_cast<double>(mass) / static_cast<double>(total) : 0;
}

}  // namespace fabula::maps
