#include "text/utf8.hpp"

#include <fmt/format.h>

namespace fabula::text {

Utf8Sequence first_utf8_sequence(std::string_view bytes) {
  using Kind = Utf8Sequence::Kind;
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned lead = at(0);
  if (lead < 0x80) return {Kind::kValid, 1};
  if (lead < 0xc2 || lead > 0xf4) return {Kind::kInvalid, 1};
  const size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // The second byte's range is narrower after these leads: overlong forms, surrogates, beyond 0x10ffff.
  unsigned low = 0x80, high = 0xbf;
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  for (size_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {Kind::kTruncated, bytes.size()};
    if (at(i) < low || at(i) > high) return {Kind::kInvalid, 1};
    low = 0x80, high = 0xbf;
  }
  return {Kind::kValid, length};
}

size_t valid_utf8_length(std::string_view bytes) {
  size_t position = 0;
  while (position < bytes.size()) {
    const Utf8Sequence sequence = first_utf8_sequence(bytes.substr(position));
    if (sequence.kind != Utf8Sequence::Kind::kValid) break;
    position += sequence.length;
  }
  return position;
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
    put(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  } else {
    put(0xf0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3f));
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  }
}

char32_t decode_utf8(std::string_view sequence) {
  const auto at = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(sequence[i])); };
  switch (sequence.size()) {
    case 1:
      return at(0);
    case 2:
      return (at(0) & 0x1f) << 6 | (at(1) & 0x3f);
    case 3:
      return (at(0) & 0x0f) << 12 | (at(1) & 0x3f) << 6 | (at(2) & 0x3f);
    default:
      return (at(0) & 0x07) << 18 | (at(1) & 0x3f) << 12 | (at(2) & 0x3f) << 6 | (at(3) & 0x3f);
  }
}

std::string quote(std::string_view bytes, size_t limit) {
  std::string out = "\"";
  for (const char byte : bytes.substr(0, limit)) {
    if (byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\') {
      out += byte;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
  }
  out += '"';
  if (bytes.size() > limit) out += fmt::format("... ({} bytes)", bytes.size());
  return out;
}

}  // namespace fabula::text
