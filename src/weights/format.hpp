#pragma once
#include <array>
#include <map>
#include <string>
#include <string_view>

#include "formats/compression.hpp"
#include "graph/parameters.hpp"

namespace fabula::weights {

/// What a model's matrices are stored in: those that products and look-ups by token read. Norms, biases, the table of
/// positions and what a head adds or multiplies element by element stay fp32. kStored: as its folder has them, which is
/// fp32 for what lies in floats there.
enum class Format : std::uint8_t { kFp32, kFp16, kBf16, kInt8, kInt4, kStored };
inline constexpr std::array<std::string_view, 6> kFormatNames = {"fp32", "fp16", "bf16", "int8", "int4", "stored"};

/// Throws kInvalidArgument for another name.
Format parse_format(std::string_view name);

/// The same, matrix by matrix.
struct Storage {
  Format format = Format::kFp32;
  std::map<std::string, CodedTensor, std::less<>> coded = {};  ///< that lie in few bits, whatever `format` says

  Storage(Format all = Format::kFp32) : format(all) {}  // NOLINT: a plain format is that of all
  /// Of a model whose folder says that of its weights.
  Storage(Format all, const Compression& folder) : format(all) {
    if (all == Format::kStored) coded = folder.tensors;
  }
};

/// States in a parameter's spec how it is stored. A linear layer's matrix goes into few bits as [outputs, inputs]:
/// groups that share a scale lie along the inputs.
void store_as(graph::ParameterSpec& spec, const Storage& storage);

}  // namespace fabula::weights
