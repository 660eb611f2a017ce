#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "infer/model_folder.hpp"
#include "vk/device.hpp"

namespace fabula::infer {

/// How likely a model finds one token of a text, given all before it. Logarithms to base e.
struct TokenScore {
  std::uint32_t id = 0;
  double log_p = 0;        ///< log p(token)
  double log_p_group = 0;  ///< grouped heads: log p(group); NaN otherwise
  double log_p_slot = 0;   ///< grouped heads: log p(token | group); NaN otherwise
};

/// Scores a text token by token; the first is scored after the folder's start token. A text longer than the context is
/// scored in windows that start anew. Throws kInvalidArgument for an empty text, and for one with tokens that the model
/// does not have.
std::vector<TokenScore> score(vk::Device& device, const ModelFolder& folder, std::string_view text);

}  // namespace fabula::infer
