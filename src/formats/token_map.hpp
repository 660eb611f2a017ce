#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fabula {

/// The name of a map's file in a run folder.
inline constexpr const char* kTokenMapFile = "token_groups.json";
/// TokenMap::step of the map that weights are for, in their file's metadata; left out: 0.
inline constexpr const char* kMapStepKey = "map_step";

/// Which tokens are classes of the first level themselves, and which group each of the others is in.
struct TokenMap {
  std::vector<std::uint32_t> shortlist;            ///< [K] token ids in the order of their classes; may be empty
  std::vector<std::vector<std::uint32_t>> groups;  ///< [G] token ids of each group in slot order
  std::vector<double> shares = {};                 ///< [G] parts of a text that the groups are; empty: not known
  std::int64_t step = 0;  ///< of the run, after which it was made from the model; 0: before the run

  /// Do they mean the same?
  bool operator==(const TokenMap& other) const { return shortlist == other.shortlist && groups == other.groups; }
};

/// Throws kFormat unless every token of [0, vocabulary) is there exactly once, there is a group, and no group is empty.
/// The message starts with `source` and names the token and both of its places, or the first tokens missing and how
/// many there are. Shares are one a group, or none.
void check_token_map(const TokenMap& map, std::int64_t vocabulary, std::string_view source);

/// Tokens of a token's group in the mean over the text that the shares are of, none of the shortlist's; nothing where
/// they are not known.
std::optional<double> mean_slots(const TokenMap& map);

/// How `tokens` tokens in an order are cut into groups: `slots` a group where that fills `groups` of them, else evenly,
/// so that none is empty. [groups + 1]: where each begins, and `tokens`.
std::vector<std::int64_t> even_group_begins(std::int64_t tokens, std::int64_t groups, std::int64_t slots);

/// Tokens of like frequency, and how they are cut: `slots` is the most tokens of one of its groups.
struct SizeBand {
  std::int64_t tokens, groups, slots;
};
/// Groups of about equal probability mass, whatever the text: by Zipf's law (a token of rank r has a probability
/// proportional to 1 / (r + 2.7), Mandelbrot's constant) groups of equal mass end at ranks that rise geometrically.
/// They are taken together in up to three bands, most frequent first, within which all may have a quarter more tokens
/// than the mean. 1 <= groups <= vocabulary - shortlist.
std::vector<SizeBand> mass_bands(std::int64_t shortlist, std::int64_t vocabulary, std::int64_t groups);

/// The most tokens of a group of any of them.
std::int64_t most_slots(std::span<const SizeBand> bands);

/// The text of a map's file: {"vocab_size": V, "step": n, "shortlist": [..], "groups": [[..], ..]}, one group a line,
/// and "shares" where they are known; without the step where it is 0.
std::string token_map_json(const TokenMap& map, std::int64_t vocabulary);
/// Reads that text. Errors: kFormat naming `source` and the key for what is not such a map (check_token_map included);
/// kInvalidArgument for a map of another vocabulary size.
TokenMap parse_token_map(std::string_view json_text, std::int64_t vocabulary, std::string_view source);

/// Checks the map and writes it as one step. Errors: kFormat, kIo.
void write_token_map(const std::filesystem::path& path, const TokenMap& map, std::int64_t vocabulary);
/// Errors: kNotFound, kIo; those of parse_token_map.
TokenMap read_token_map(const std::filesystem::path& path, std::int64_t vocabulary);

}  // namespace fabula
