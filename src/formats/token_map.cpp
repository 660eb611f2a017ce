#include "formats/token_map.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/atomic_file.hpp"
#include "base/ceil_div.hpp"
#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "formats/json_access.hpp"

namespace fabula {
namespace {

using nlohmann::json;

constexpr std::size_t kMissingNamed = 5;  // tokens that the message about missing ones names

std::string list_name(std::size_t list) {
  return list == 0 ? "shortlist" : fmt::format("groups[{}]", list - 1);
}

const json& field(const json& root, const char* key, std::string_view source) {
  const auto it = root.find(key);
  if (it == root.end()) fail(ErrorCode::kFormat, "{}: \"{}\" is missing", source, key);
  return *it;
}

std::vector<std::uint32_t> read_tokens(const json& values, std::int64_t vocabulary, const std::string& name,
                                       std::string_view source) {
  if (!values.is_array()) fail(ErrorCode::kFormat, "{}: \"{}\" must be a list of token ids", source, name);
  std::vector<std::uint32_t> tokens;
  tokens.reserve(values.size());
  for (const json& value : values) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= static_cast<std::uint64_t>(vocabulary)) {
      fail(ErrorCode::kFormat, "{}: \"{}\"[{}] is {}; a token id is an integer from 0 to {}", source, name,
           tokens.size(), value.is_structured() ? "no number" : dump_json(value), vocabulary - 1);
    }
    tokens.push_back(value.get<std::uint32_t>());
  }
  return tokens;
}

std::vector<double> read_shares(const json& values, std::string_view source) {
  if (!values.is_array()) fail(ErrorCode::kFormat, "{}: \"shares\" must be a list of numbers", source);
  std::vector<double> shares;
  for (const json& value : values) {
    const double share = value.is_number() ? value.get<double>() : -1;
    if (!(share >= 0 && share <= 1))
      fail(ErrorCode::kFormat, "{}: \"shares\"[{}] is no part of 1", source, shares.size());
    shares.push_back(share);
  }
  return shares;
}

// Marks the tokens of one list (0: the shortlist, i + 1: group i) as seen in it.
void mark_tokens(const std::vector<std::uint32_t>& tokens, std::size_t list, std::vector<std::uint32_t>& seen_in,
                 std::string_view source) {
  constexpr std::uint32_t kNowhere = std::numeric_limits<std::uint32_t>::max();
  for (const std::uint32_t token : tokens) {
    if (token >= seen_in.size()) {
      fail(ErrorCode::kFormat, "{}: token {} in {} is outside of the vocabulary; ids go from 0 to {}", source, token,
           list_name(list), seen_in.size() - 1);
    }
    if (seen_in[token] == list) fail(ErrorCode::kFormat, "{}: token {} is twice in {}", source, token, list_name(list));
    if (seen_in[token] != kNowhere) {
      fail(ErrorCode::kFormat, "{}: token {} is in {} and again in {}; every token has one place", source, token,
           list_name(seen_in[token]), list_name(list));
    }
    seen_in[token] = static_cast<std::uint32_t>(list);
  }
}

}  // namespace

void check_token_map(const TokenMap& map, std::int64_t vocabulary, std::string_view source) {
  constexpr std::uint32_t kNowhere = std::numeric_limits<std::uint32_t>::max();
  ensure(vocabulary > 0 && vocabulary < kNowhere, "a token map of {} tokens", vocabulary);
  std::vector<std::uint32_t> seen_in(static_cast<std::size_t>(vocabulary), kNowhere);
  mark_tokens(map.shortlist, 0, seen_in, source);
  for (std::size_t g = 0; g < map.groups.size(); ++g) {
    if (map.groups[g].empty()) fail(ErrorCode::kFormat, "{}: groups[{}] is empty; leave it out", source, g);
    mark_tokens(map.groups[g], g + 1, seen_in, source);
  }
  std::size_t missing = 0;
  std::vector<std::size_t> named;
  for (std::size_t token = 0; token < seen_in.size(); ++token) {
    if (seen_in[token] != kNowhere) continue;
    if (missing++ < kMissingNamed) named.push_back(token);
  }
  if (missing > 0) {
    fail(ErrorCode::kFormat, "{}: {} of the {} tokens are in no group: {}{}", source, missing, vocabulary,
         fmt::join(named, ", "), missing > named.size() ? ", .." : "");
  }
  if (!map.shares.empty() && map.shares.size() != map.groups.size())
    fail(ErrorCode::kFormat, "{}: {} shares of {} groups", source, map.shares.size(), map.groups.size());
  if (map.groups.empty()) {
    fail(ErrorCode::kFormat, "{}: all {} tokens are in the shortlist; at least one must be in a group", source,
         vocabulary);
  }
}

std::vector<std::int64_t> even_group_begins(std::int64_t tokens, std::int64_t groups, std::int64_t slots) {
  const bool full = (tokens + slots - 1) / slots == groups;
  std::vector<std::int64_t> begins;
  for (std::int64_t g = 0; g < groups; ++g) begins.push_back(full ? g * slots : g * tokens / groups);
  begins.push_back(tokens);
  return begins;
}

std::vector<SizeBand> mass_bands(std::int64_t shortlist, std::int64_t vocabulary, std::int64_t groups) {
  constexpr double kMandelbrot = 2.7;
  ensure(groups >= 1 && groups <= vocabulary - shortlist, "{} groups of {} tokens", groups, vocabulary - shortlist);
  const std::int64_t count = std::min<std::int64_t>(groups, 3);
  const double low = static_cast<double>(shortlist) + kMandelbrot, high = static_cast<double>(vocabulary) + kMandelbrot;
  std::vector<SizeBand> bands;
  std::int64_t rank = shortlist, group = 0;
  for (std::int64_t b = 1; b <= count; ++b) {
    const std::int64_t end_group = b * groups / count, of_band = end_group - group;
    const double end = low * std::pow(high / low, static_cast<double>(end_group) / static_cast<double>(groups));
    // No group of any band is empty.
    const std::int64_t end_rank =
        b == count ? vocabulary
                   : std::clamp(std::llround(end - kMandelbrot), static_cast<long long>(rank + of_band),
                                static_cast<long long>(vocabulary - (groups - end_group)));
    const std::int64_t tokens = end_rank - rank;
    bands.push_back({tokens, of_band, std::min(ceil_div(5 * tokens, 4 * of_band), tokens - (of_band - 1))});
    rank = end_rank;
    group = end_group;
  }
  return bands;
}

std::int64_t most_slots(std::span<const SizeBand> bands) {
  std::int64_t most = 0;
  for (const SizeBand& band : bands) most = std::max(most, band.slots);
  return most;
}

std::optional<double> mean_slots(const TokenMap& map) {
  if (map.shares.empty()) return std::nullopt;
  double mean = 0;
  for (std::size_t g = 0; g < map.groups.size(); ++g) mean += map.shares[g] * static_cast<double>(map.groups[g].size());
  return mean;
}

std::string token_map_json(const TokenMap& map, std::int64_t vocabulary) {
  std::string text =
      fmt::format("{{\"vocab_size\": {},\n{} \"shortlist\": [{}],\n \"groups\": [\n", vocabulary,
                  map.step > 0 ? fmt::format(" \"step\": {},\n", map.step) : "", fmt::join(map.shortlist, ", "));
  for (std::size_t g = 0; g < map.groups.size(); ++g) {
    fmt::format_to(std::back_inserter(text), "  [{}]{}\n", fmt::join(map.groups[g], ", "),
                   g + 1 < map.groups.size() ? "," : "");
  }
  text += " ]";
  if (!map.shares.empty()) text += fmt::format(",\n \"shares\": [{}]", fmt::join(map.shares, ", "));
  return text + "}\n";
}

TokenMap parse_token_map(std::string_view json_text, std::int64_t vocabulary, std::string_view source) {
  const json root = parse_json(json_text, source, {.max_depth = 4});
  if (!root.is_object()) fail(ErrorCode::kFormat, "{}: expected a JSON object", source);
  const json& size = field(root, "vocab_size", source);
  if (!size.is_number_unsigned()) fail(ErrorCode::kFormat, "{}: \"vocab_size\" must be a count", source);
  if (size.get<std::uint64_t>() != static_cast<std::uint64_t>(vocabulary)) {
    fail(ErrorCode::kInvalidArgument,
         "{}: the map is for a vocabulary of {} tokens, this one has {}; make a map from a token file of this "
         "vocabulary (fabula data groups)",
         source, size.get<std::uint64_t>(), vocabulary);
  }
  TokenMap map;
  if (const auto step = root.find("step"); step != root.end()) {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 53;
    if (!step->is_number_unsigned() || step->get<std::uint64_t>() > kMost)
      fail(ErrorCode::kFormat, "{}: \"step\" must be a count", source);
    map.step = step->get<std::int64_t>();
  }
  map.shortlist = read_tokens(field(root, "shortlist", source), vocabulary, "shortlist", source);
  const json& groups = field(root, "groups", source);
  if (!groups.is_array()) fail(ErrorCode::kFormat, "{}: \"groups\" must be a list of groups", source);
  for (const json& group : groups)
    map.groups.push_back(read_tokens(group, vocabulary, fmt::format("groups[{}]", map.groups.size()), source));
  if (const auto shares = root.find("shares"); shares != root.end()) map.shares = read_shares(*shares, source);
  check_token_map(map, vocabulary, source);
  return map;
}

void write_token_map(const std::filesystem::path& path, const TokenMap& map, std::int64_t vocabulary) {
  check_token_map(map, vocabulary, path.string());
  write_file_atomically(path, token_map_json(map, vocabulary));
}

TokenMap read_token_map(const std::filesystem::path& path, std::int64_t vocabulary) {
  return parse_token_map(read_file(path), vocabulary, path.string());
}

}  // namespace fabula
