#pragma once
#include <cstdint>
#include <functional>
#include <string_view>

#include "infer/model_folder.hpp"
#include "vk/device.hpp"

namespace fabula::eval {

/// How likely a model finds one token of a text, given all before it. Logarithms to base e.
struct TokenScore {
  std::uint32_t id = 0;
  double log_p = 0;               ///< log p(token)
  double log_p_group = 0;         ///< grouped heads: log p(group); NaN otherwise
  double log_p_slot = 0;          ///< grouped heads: log p(token | group); NaN otherwise
  double mass_without_token = 0;  ///< the part of the probability that rows without a token have there
};

/// Scores a text token by token; the first is scored after the folder's start token. A text longer than the context is
/// scored in windows that start anew. `visit` gets the tokens in order, those before a number that is none too. Throws
/// kInvalidArgument for an empty text, and for one with tokens that the model does not have; kNumeric.
void score(vk::Device& device, const graph::Target& target, const infer::ModelFolder& folder, std::string_view text,
           const std::function<void(const TokenScore&)>& visit);

}  // namespace fabula::eval
