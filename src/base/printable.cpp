#include "base/printable.hpp"

#include <fmt/format.h>

#include <cstddef>

namespace fabula {
namespace {

unsigned byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// Bytes of the well-formed UTF-8 character that the text starts with; 0: none is there.
std::size_t character_length(std::string_view text) {
  const unsigned first = byte_at(text, 0);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xC2 ? 0
                             : first < 0xE0 ? 2
                             : first < 0xF0 ? 3
                             : first < 0xF5 ? 4
                                            : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte_at(text, i) & 0xC0) != 0x80) return 0;
  if (length < 3) return length;
  const unsigned second = byte_at(text, 1);  // overlong forms, surrogates, beyond U+10FFFF
  const bool bad = (first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0) ||
                   (first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90);
  return bad ? 0 : length;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    const unsigned first = byte_at(text, 0);
    const bool control = length == 1 && (first < 0x20 || first == 0x7F) && first != '\n' && first != '\t';
    if (length == 0 || control)
      out += fmt::format("\\x{:02x}", first);
    else if (length == 2 && first == 0xC2 && byte_at(text, 1) < 0xA0)
      out += fmt::format("\\u{:04x}", byte_at(text, 1));
    else
      out += text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace fabula
