#pragma once
#include <cstdint>
#include <vector>

#include "graph/target.hpp"
#include "infer/model_folder.hpp"
#include "text/token_file.hpp"
#include "vk/device.hpp"

namespace fabula::convert {

/// What a model's head reads at `positions` positions of a text or more, whole batches of windows of the text drawn
/// with the seed, none twice; at as many as there are where it is shorter. [N, D] row by row. Throws kInvalidArgument for a
/// text of fewer than 2 tokens, kNumeric for a model whose hidden vectors are not finite.
std::vector<float> hidden_vectors(vk::Device& device, const graph::Target& target, const infer::ModelFolder& folder,
                                  const text::TokenFile& tokens, std::int64_t positions, std::uint64_t seed);

}  // namespace fabula::convert
