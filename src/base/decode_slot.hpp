#pragma once
#include <cstdint>

namespace fabula {
#include "../../shaders/include/decode_slot.glsl"

/// How many consecutive tokens a chunk has, by way of which a token is drawn (ops/sample_tokens.cpp): a power of two,
/// with which there are at most 1,024 chunks.
constexpr std::int64_t draw_chunk(std::int64_t vocabulary) {
  std::int64_t tokens = 1024;
  while (tokens * 1024 < vocabulary) tokens *= 2;
  return tokens;
}
}  // namespace fabula
