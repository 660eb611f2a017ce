#pragma once
#include <filesystem>
#include <optional>

#include "formats/run_config.hpp"
#include "heads/head.hpp"
#include "text/token_file.hpp"

namespace fabula::train {

/// For a config whose head.map is file: reads head.map_file and fills in those of head.shortlist, group_size and groups
/// that the config leaves open. Nothing for other configs. Needs vocab_size. Errors: those of read_token_map;
/// kInvalidArgument naming the key where the file disagrees with what the config says.
std::optional<TokenMap> adopt_map_file(RunConfig& config);

/// The map of a head with a map, made as the config says from the training tokens and their counts; not for head.map
/// file.
TokenMap make_token_map(const ModelConfig& model, const text::TokenFile& tokens, std::span<const std::uint64_t> counts,
                        std::int64_t seed);

/// What a run's head starts from: the map of its checkpoint where there is one, else `given`, the map of a model that
/// it starts from, else a map made as the config says and, for biases, the counts of the training tokens. `run` is the
/// run's folder.
heads::HeadData prepare_head(RunConfig& config, const text::TokenFile& tokens, const std::filesystem::path& run,
                             std::optional<TokenMap> given = std::nullopt);

}  // namespace fabula::train
