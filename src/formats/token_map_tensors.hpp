#pragma once
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "formats/model_tensors.hpp"
#include "formats/token_map.hpp"

namespace fabula {

/// The map of a two-level head as tensors of whole numbers beside its weights, for readers of the weights alone: the
/// shortlist [K] (left out where K is 0), the other tokens [M] group by group, and where each group begins among those
/// [G + 1].
inline constexpr std::array<std::string_view, 3> kTokenMapTensors = {"lm_head.shortlist", "lm_head.tokens",
                                                                     "lm_head.starts"};

std::vector<TensorSource> token_map_tensors(const TokenMap& map);

/// The map that a folder's tensors hold; nothing where they hold none. Error kFormat for what is no map of `vocabulary`
/// tokens.
std::optional<TokenMap> read_token_map_tensors(const ModelTensors& tensors, std::int64_t vocabulary);

}  // namespace fabula
