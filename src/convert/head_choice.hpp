#pragma once
#include <string>
#include <vector>

#include "formats/run_config.hpp"

namespace fabula::convert {

/// The config of a model that gets another head. `head`: "grouped", a class-based head (per_group, clustered, with
/// class vectors at the input, a shortlist of sqrt(V) tokens and groups of up to 2 sqrt(V)); a word or a JSON object as
/// a config's "head"; or the name of a config file, whose head is taken. `overrides`: as load_config's; only keys of
/// the head, of "train" and tie_word_embeddings may change. What is not said stays as the model has it: an output bias,
/// a tie.
///
/// Throws as parse_config does, and kUnsupported, with the reason and the nearest that works, for a head that the
/// model's weights do not give: see check_head_change. `source` is what messages call the model.
RunConfig config_with_head(const RunConfig& model, const std::string& source, const std::string& head,
                           const std::vector<std::string>& overrides);

/// Can the weights of a model of config `from` become those of `to`? Throws kInvalidArgument where more than the head
/// differs, kUnsupported for a head that has no start in the weights.
void check_head_change(const RunConfig& from, const RunConfig& to, const std::string& source);

}  // namespace fabula::convert
