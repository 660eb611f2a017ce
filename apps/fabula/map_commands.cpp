#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/terminal.hpp"
#include "commands.hpp"
#include "formats/json_access.hpp"
#include "formats/token_map.hpp"
#include "maps/build_token_map.hpp"
#include "maps/token_counts.hpp"
#include "text/tokenizer_files.hpp"
#include "train/model_vectors.hpp"

namespace fabula::app {
namespace {

constexpr std::size_t kGroupsShown = 5, kTokensShown = 10;

GroupMap map_kind(const std::string& name) {
  for (const GroupMap kind : {GroupMap::kIdRanges, GroupMap::kFrequency, GroupMap::kClustered, GroupMap::kRandom})
    if (group_map_name(kind) == name) return kind;
  fail(ErrorCode::kInvalidArgument, "--map is \"{}\"; there are id_ranges, frequency, clustered, random", name);
}

/// What a map that was made from a text is like over it.
struct Summary {
  std::size_t smallest, largest;        ///< tokens of a group
  double shortlist_mass, largest_mass;  ///< parts of the text: of the shortlist, of the heaviest group
  double mean_slots;                    ///< tokens of a label's group in the mean over the text, none of a shortlist's
  std::vector<std::size_t> by_mass;     ///< groups, heaviest first
};

Summary summarise(const TokenMap& map, std::span<const std::uint64_t> counts) {
  Summary summary{};
  const auto [smallest, largest] =
      std::minmax_element(map.groups.begin(), map.groups.end(),
                          [](const auto& left, const auto& right) { return left.size() < right.size(); });
  summary.smallest = smallest->size();
  summary.largest = largest->size();
  summary.shortlist_mass = maps::shortlist_mass(map, counts);
  summary.mean_slots = mean_slots(map).value_or(0);
  summary.by_mass.resize(map.groups.size());
  std::iota(summary.by_mass.begin(), summary.by_mass.end(), std::size_t{0});
  std::stable_sort(summary.by_mass.begin(), summary.by_mass.end(),
                   [&](std::size_t left, std::size_t right) { return map.shares[left] > map.shares[right]; });
  summary.largest_mass = map.shares[summary.by_mass.front()];
  return summary;
}

void show_examples(const TokenMap& map, const Summary& summary, const text::Tokenizer& tokenizer) {
  for (std::size_t i = 0; i < std::min(kGroupsShown, map.groups.size()); ++i) {
    const std::size_t g = summary.by_mass[i * summary.by_mass.size() / std::min(kGroupsShown, map.groups.size())];
    const auto& group = map.groups[g];
    std::string line;
    for (std::size_t s = 0; s < std::min(kTokensShown, group.size()); ++s)
      line += " " + dump_json(nlohmann::json(tokenizer.decode(std::span(group).subspan(s, 1))));
    info("  group {}:{}{}", g, line, group.size() > kTokensShown ? " .." : "");
  }
}

}  // namespace

int data_groups(const DataGroupsArgs& args) {
  const auto start = std::chrono::steady_clock::now();
  const maps::MapOptions options{.kind = map_kind(args.map),
                                 .shortlist = args.shortlist,
                                 .groups = args.groups,
                                 .slots = args.group_size,
                                 .sizes = args.group_sizes == "mass" ? GroupSizes::kMass : GroupSizes::kEqual,
                                 .seed = args.seed};
  if (!args.embeddings.empty() && options.kind != GroupMap::kClustered)
    fail(ErrorCode::kInvalidArgument, "--embeddings are for --map clustered; the map is {}", args.map);
  checked_target(args.out, std::vector<std::filesystem::path>{args.tokens, args.tokenizer});
  const text::TokenFile tokens(args.tokens);
  std::optional<text::Tokenizer> tokenizer;
  if (!args.tokenizer.empty()) {
    tokenizer = text::load_tokenizer(args.tokenizer, {args.end_token});
    tokens.check_tokenizer(*tokenizer);
  }
  maps::resolve_map_options(options, tokens.vocab_size());
  const std::vector<std::uint64_t> counts = maps::token_counts(tokens);
  const TokenMap map =
      args.embeddings.empty()
          ? maps::build_token_map(options, tokens, counts)
          : maps::clustered_map(options, counts, train::model_vectors(args.embeddings, tokens, counts));
  write_token_map(args.out, map, tokens.vocab_size());

  const Summary summary = summarise(map, counts);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (args.json) {
    const nlohmann::ordered_json result{{"vocab_size", tokens.vocab_size()},
                                        {"shortlist", map.shortlist.size()},
                                        {"shortlist_mass", summary.shortlist_mass},
                                        {"groups", map.groups.size()},
                                        {"smallest_group", summary.smallest},
                                        {"largest_group", summary.largest},
                                        {"largest_group_mass", summary.largest_mass},
                                        {"mean_slots", summary.mean_slots},
                                        {"seconds", seconds.count()}};
    print("{}\n", dump_json(result));
    return 0;
  }
  info("{}: {} map of {} tokens in {:.1f} s", args.out, args.map, tokens.vocab_size(), seconds.count());
  if (!map.shortlist.empty()) {
    info("  shortlist: {} tokens, {:.1f} % of the text", map.shortlist.size(), 100 * summary.shortlist_mass);
  }
  info("  {} groups of {} to {} tokens, the heaviest is {:.2f} % of the text; a position's own has {:.0f} in the mean",
       map.groups.size(), summary.smallest, summary.largest, 100 * summary.largest_mass, summary.mean_slots);
  if (tokenizer) show_examples(map, summary, *tokenizer);
  return 0;
}

}  // namespace fabula::app
