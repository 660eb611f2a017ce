#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace fabula::text {

/// What stands at the start of some bytes.
struct Utf8Sequence {
  enum class Kind { kValid, kInvalid, kTruncated } kind;  ///< kTruncated: valid so far, more bytes are needed
  size_t length;  ///< bytes: of the character, 1 when invalid, all when truncated
};

/// Looks at the first character of non-empty bytes. Valid is what Unicode 3.9 table 3-7 says: no surrogates, no
/// overlong forms.
Utf8Sequence first_utf8_sequence(std::string_view bytes);

/// The length of the longest valid prefix, in bytes.
size_t valid_utf8_length(std::string_view bytes);

/// Appends a code point (at most 0x10ffff) as UTF-8.
void append_utf8(std::string& out, char32_t code_point);

/// The code point of one whole valid sequence.
char32_t decode_utf8(std::string_view sequence);

/// Text for a message: at most `limit` bytes, anything but printable ASCII escaped.
std::string quote(std::string_view bytes, size_t limit = 40);

}  // namespace fabula::text
