#pragma once
#include <array>
#include <string_view>

#include "graph/parameters.hpp"

namespace fabula::weights {

/// What a model's matrices are stored in: those that products and look-ups by token read. Norms, biases, the table of
/// positions and what a head adds or multiplies element by element stay fp32.
enum class Format : std::uint8_t { kFp32, kFp16, kBf16, kInt8 };
inline constexpr std::array<std::string_view, 4> kFormatNames = {"fp32", "fp16", "bf16", "int8"};

/// Throws kInvalidArgument for another name.
Format parse_format(std::string_view name);

/// States in a parameter's spec how it is stored. A linear layer's matrix goes into bytes as [outputs, inputs]: blocks
/// that share a scale lie along the inputs.
void store_as(graph::ParameterSpec& spec, Format format);

}  // namespace fabula::weights
