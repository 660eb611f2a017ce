#pragma once
#include <cstdint>

// Rotary positions turn the rows of a head's queries and keys by pairs: a pair's rows are half a head apart (Hugging
// Face), or neighbours (llama2.c, llama.cpp's llama).
namespace fabula::convert {

/// Where a row of halves stands among neighbours.
inline std::int64_t row_of_pair(std::int64_t row, std::int64_t head_dim) {
  const std::int64_t half = head_dim / 2, i = row % head_dim;
  return row - i + (i < half ? 2 * i : 2 * (i - half) + 1);
}

/// Where a row of neighbours stands among halves.
inline std::int64_t row_of_half(std::int64_t row, std::int64_t head_dim) {
  const std::int64_t half = head_dim / 2, i = row % head_dim;
  return row - i + i % 2 * half + i / 2;
}

}  // namespace fabula::convert
