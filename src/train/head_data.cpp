#include "train/head_data.hpp"

#include <algorithm>
#include <chrono>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "formats/config_io.hpp"
#include "heads/token_groups.hpp"
#include "maps/build_token_map.hpp"
#include "maps/token_counts.hpp"

namespace fabula::train {
namespace {

namespace fs = std::filesystem;

/// Takes a number from the map where the config leaves it open.
void settle(std::int64_t& configured, std::int64_t open, std::int64_t of_map, const char* key,
            const std::string& file) {
  if (configured == open) configured = of_map;
  if (configured != of_map)
    fail(ErrorCode::kInvalidArgument, "{} is {}, the map in {} has {}; leave the key out to take the map's", key,
         configured, file, of_map);
}

void adopt_sizes(HeadConfig& head, const TokenMap& map, const std::string& file) {
  std::size_t largest = 0;
  for (const auto& group : map.groups) largest = std::max(largest, group.size());
  settle(head.shortlist, 0, static_cast<std::int64_t>(map.shortlist.size()), "head.shortlist", file);
  settle(head.groups, 0, static_cast<std::int64_t>(map.groups.size()), "head.groups", file);
  if (head.group_size == 0) head.group_size = static_cast<std::int64_t>(largest);
  if (head.group_size < static_cast<std::int64_t>(largest))
    fail(ErrorCode::kInvalidArgument, "head.group_size is {}, a group of the map in {} has {} tokens", head.group_size,
         file, largest);
}

bool is_file_map(const HeadConfig& head) {
  return head.kind == HeadKind::kGrouped && head.map == GroupMap::kFile;
}

}  // namespace

std::optional<TokenMap> adopt_map_file(RunConfig& config) {
  if (!is_file_map(config.model.head)) return std::nullopt;
  const std::string file = config.model.head.map_file;
  TokenMap map = read_token_map(file, config.model.vocab_size);
  adopt_sizes(config.model.head, map, file);
  validate_config(config, file);
  return map;
}

TokenMap make_token_map(const ModelConfig& model, const text::TokenFile& tokens, std::span<const std::uint64_t> counts,
                        std::int64_t seed) {
  const HeadConfig& head = model.head;
  if (head.kind == HeadKind::kAdaptive) return maps::frequency_clusters(counts, model.cutoffs());
  if (!heads::needs_map(head)) return heads::consecutive_map(model);
  const auto start = std::chrono::steady_clock::now();
  TokenMap map = maps::build_token_map({.kind = head.map,
                                        .shortlist = head.shortlist,
                                        .groups = model.groups(),
                                        .slots = model.slots(),
                                        .sizes = head.group_sizes,
                                        .seed = static_cast<std::uint64_t>(seed)},
                                       tokens, counts);
  info("{} map of {} tokens made in {:.1f} s", group_map_name(head.map), model.vocab_size,
       std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return map;
}

heads::HeadData prepare_head(RunConfig& config, const text::TokenFile& tokens, const fs::path& run,
                             std::optional<TokenMap> given) {
  const HeadConfig& head = config.model.head;
  heads::HeadData data;
  const bool has_checkpoint = fs::exists(run / "state.json");
  const fs::path own = run / kTokenMapFile;
  std::vector<std::uint64_t> counts;
  if (!has_checkpoint && (head.has_map() || head.bias)) counts = maps::token_counts(tokens);
  if (head.has_map() && has_checkpoint && fs::exists(own)) {
    data.map = read_token_map(own, config.model.vocab_size);
    data.map_source = own.string();
    if (is_file_map(head)) {
      // One that was made again may not fill the groups that the weights have room for.
      if (head.group_size == 0) config.model.head.group_size = load_config(run).model.head.group_size;
      adopt_sizes(config.model.head, *data.map, own.string());
    }
  } else if (!has_checkpoint && given) {
    data.map = std::move(given);
    if (is_file_map(head)) adopt_sizes(config.model.head, *data.map, head.map_file);
  } else if (is_file_map(head)) {
    data.map = adopt_map_file(config);
  } else if (head.has_map()) {
    if (has_checkpoint && heads::needs_map(head))
      fail(ErrorCode::kNotFound, "{} has a checkpoint but no {}: its head means nothing without", run.string(),
           kTokenMapFile);
    data.map = make_token_map(config.model, tokens, counts, config.train.seed);
  }
  if (!has_checkpoint && data.map) data.map->step = 0;  // of another run it may be another
  if (!has_checkpoint && head.bias && head.bias_init == BiasInit::kUnigram) data.counts = std::move(counts);
  return data;
}

}  // namespace fabula::train
