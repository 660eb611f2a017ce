#pragma once
#include <cstdint>
#include <string>

#include "convert/rotary_rows.hpp"
#include "formats/llama2c_file.hpp"

// How llama2.c's parts and a Llama folder's tensors belong together.
namespace fabula::convert {

/// llama2.c's own constants, which its files do not name.
inline constexpr double kLlama2cNormEpsilon = 1e-5, kLlama2cRopeTheta = 10000.0;

/// What each layer has, in the order of a folder's tensors.
inline constexpr Llama2cPart kLlama2cLayerParts[] = {
    Llama2cPart::kAttentionNorm,   Llama2cPart::kQuery, Llama2cPart::kKey, Llama2cPart::kValue, Llama2cPart::kOutput,
    Llama2cPart::kFeedForwardNorm, Llama2cPart::kGate,  Llama2cPart::kUp,  Llama2cPart::kDown};

/// The name of a part's tensor: "model.layers.0.self_attn.q_proj.weight".
std::string llama2c_tensor(Llama2cPart part, std::int64_t layer);

/// Does it turn pairs of numbers by their position, which stand side by side in the file, and half a head apart in a
/// folder?
constexpr bool has_pairs(Llama2cPart part) {
  return part == Llama2cPart::kQuery || part == Llama2cPart::kKey;
}

}  // namespace fabula::convert
