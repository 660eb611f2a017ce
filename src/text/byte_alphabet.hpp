#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fabula::text {

/// GPT-2's order of the 256 bytes, which is also their ids: printable Latin-1 first, the 68 others after.
const std::array<uint8_t, 256>& gpt2_byte_order();

/// Bytes in the printable form that vocab.json, merges.txt and tokenizer.json use: each byte one character of at most
/// U+0143.
std::string to_byte_alphabet(std::string_view bytes);

/// The way back; nothing when a character is not of the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view printable);

}  // namespace fabula::text
