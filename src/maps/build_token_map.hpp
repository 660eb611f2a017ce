#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "formats/model_config.hpp"
#include "formats/token_map.hpp"
#include "maps/token_vectors.hpp"
#include "text/token_file.hpp"

namespace fabula::maps {

struct MapOptions {
  GroupMap kind = GroupMap::kIdRanges;    ///< any but kFile
  std::int64_t shortlist = 0;             ///< K
  std::int64_t groups = 0;                ///< G; 0: ceil((V - K) / S)
  std::int64_t slots = 0;                 ///< S, the most tokens of a group; 0: ceil(sqrt(V - K))
  GroupSizes sizes = GroupSizes::kEqual;  ///< kMass: of kRandom and kClustered, mass_bands; S follows
  std::uint64_t seed = 1;                 ///< of kRandom and kClustered
  std::size_t threads = 0;                ///< 0: all of the machine's; the map does not depend on it
  /// [K] the tokens of the shortlist; empty: the most frequent.
  std::span<const std::uint32_t> shortlist_tokens = {};
  /// Of kClustered, how the others are cut, most frequent first; empty: as `sizes` says.
  std::span<const SizeBand> bands = {};
};

/// The options with S and G filled in. Error kInvalidArgument, naming the key of the config's head and the valid range,
/// unless 0 <= K < V, 1 <= S <= V - K, and G groups hold the rest with none empty; for sizes that the kind does not
/// have.
MapOptions resolve_map_options(const MapOptions& options, std::int64_t vocabulary);

/// A map of the tokens counted, its shares included. The shortlist is the K most frequent in falling frequency (of
/// equals the lower id). kIdRanges: the others by id, S a group. kRandom: the same of a random order. kFrequency:
/// groups of about equal probability. kClustered: by clustered_map from the text's own neighbour_vectors, so only for a
/// token file.
TokenMap build_token_map(const MapOptions& options, std::span<const std::uint64_t> counts);
TokenMap build_token_map(const MapOptions& options, const text::TokenFile& file);
/// The same where the file's token_counts are at hand.
TokenMap build_token_map(const MapOptions& options, const text::TokenFile& file, std::span<const std::uint64_t> counts);

/// Groups of tokens with like vectors: all tokens that have one shape the centres (by mass: those of the band), those
/// beyond the shortlist are assigned, at most a quarter more to a group than its share; tokens that have none fill the
/// room that is left. Slots of a group are in falling frequency.
TokenMap clustered_map(const MapOptions& options, std::span<const std::uint64_t> counts, const TokenVectors& vectors);

/// The clusters of adaptive softmax: all tokens in falling frequency; the first cutoffs[0] are the shortlist, group i
/// is ranks [cutoffs[i], cutoffs[i + 1]), the last up to V. Error kInvalidArgument unless 0 < cutoffs[0] < .. < V.
TokenMap frequency_clusters(std::span<const std::uint64_t> counts, std::span<const std::int64_t> cutoffs);

/// The part of the text that the shortlist's tokens are; 0 for a text without tokens.
double shortlist_mass(const TokenMap& map, std::span<const std::uint64_t> counts);

}  // namespace fabula::maps
