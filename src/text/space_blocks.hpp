#pragma once
#include <string>
#include <string_view>

namespace fabula::text {

/// How SentencePiece's files write a space: U+2581.
inline constexpr std::string_view kSpaceBlock = "\u2581";

std::string blocks_to_spaces(std::string_view text);
std::string spaces_to_blocks(std::string_view text);

}  // namespace fabula::text
