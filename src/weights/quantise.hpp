#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "formats/coded_matrix.hpp"

// Rows of numbers as signed bytes with a scale a block, the numbers of GGUF's type Q8_0, or as four bits.
namespace fabula::weights {

inline constexpr std::int64_t kBlock = 32;  ///< bytes along a row that share a scale; a row's last block may be shorter

struct ScaledRows {
  std::int64_t rows = 0, cols = 0;
  std::vector<std::int8_t> bytes;     ///< [rows, cols]
  std::vector<std::uint16_t> scales;  ///< [rows, blocks()], fp16
  std::int64_t blocks() const { return (cols + kBlock - 1) / kBlock; }
};

/// Block by block d = largest magnitude / 127 and q = x / d to the nearest, halves away from zero; then d is rounded to
/// fp16, as llama.cpp does it, so that its files hold the same bytes. A number is off by at most 0.5 d, 127 times what
/// d is rounded by, and 2^-25 of each byte where d is subnormal. Throws kNumeric for a number that is not finite, or a
/// scale beyond fp16.
ScaledRows quantise(std::span<const float> numbers, std::int64_t rows, std::int64_t cols);

/// The numbers that they stand for.
std::vector<float> dequantise(const ScaledRows& of);

/// The same in four bits, block by block: d = the number of largest magnitude / -8, as GGUF's Q4_0; with offsets d =
/// (largest - smallest) / 15 and m = smallest, as its Q4_1. Errors: as quantise.
CodedMatrix quantise_4(std::span<const float> numbers, std::int64_t rows, std::int64_t cols, bool offsets);

}  // namespace fabula::weights
