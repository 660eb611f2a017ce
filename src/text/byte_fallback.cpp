#include <algorithm>

#include "base/fail.hpp"
#include "text/scheme.hpp"
#include "text/utf8.hpp"

namespace fabula::text {
namespace {

/// The bytes that are looked up as one character: one byte and the continuation bytes behind it, four in all. For valid
/// UTF-8 that is a character; other bytes are cut as llama2.c cuts them.
size_t unit_length(std::string_view text) {
  constexpr size_t kMaxUnit = 4;
  size_t length = 1;
  while (length < std::min(text.size(), kMaxUnit) && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80)
    ++length;
  return length;
}

bool is_one_character(std::string_view token) {
  if (token.empty()) return false;
  const Utf8Sequence first = first_utf8_sequence(token);
  return first.kind == Utf8Sequence::Kind::kValid && first.length == token.size();
}

/// A unit as a number, which no other valid character has.
uint32_t key_of_unit(std::string_view unit) {
  uint32_t key = 0;
  for (const char byte : unit) key = key << 8 | static_cast<unsigned char>(byte);
  return key;
}

class ByteFallbackScheme final : public Tokenizer::Scheme {
 public:
  explicit ByteFallbackScheme(const TokenizerParts& parts)
      : byte_ids_(parts.fallback->byte_ids), cut_at_spaces_(parts.fallback->cut_at_spaces) {
    std::vector<bool> is_character(parts.tokens.size(), true), is_byte(parts.tokens.size(), false);
    for (const AddedToken& token : parts.added) is_character[token.id] = false;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const uint32_t id = byte_ids_[byte];
      if (id >= parts.tokens.size() || parts.tokens[id] != std::string(1, static_cast<char>(byte)) ||
          !is_character[id]) {
        fail(ErrorCode::kFormat, "the vocabulary has no token <0x{:02X}> of its own; all 256 bytes are needed", byte);
      }
      is_character[id] = false;
      is_byte[id] = true;
    }
    for (uint32_t id = 0; id < parts.tokens.size(); ++id) {
      const std::string& token = parts.tokens[id];
      if (is_character[id] && is_one_character(token)) characters_.emplace(key_of_unit(token), id);
    }
    for (const Merge& merge : parts.merges) {
      if (is_byte[merge.left] || is_byte[merge.right] || is_byte[merge.result])
        fail(ErrorCode::kFormat, "the merge of rank {} takes or makes the token of a byte", merge.rank);
      joins_[static_cast<unsigned char>(parts.tokens[merge.left].back())].set(
          static_cast<unsigned char>(parts.tokens[merge.right].front()));
    }
  }

  /// Kinds of this sort merge over the whole text. It is cut where no merge joins the bytes on both sides, which
  /// changes no token and makes most pieces words, whose tokens are found in the cache.
  void split(std::string_view text, const PreTokenizer::PieceSink& sink) const override {
    size_t begin = 0;
    for (size_t i = 0; i < text.size();) {
      const bool cut =
          i > begin && (!joins_[static_cast<unsigned char>(text[i - 1])].test(static_cast<unsigned char>(text[i])) ||
                        (cut_at_spaces_ && text[i] == ' '));
      if (cut) {
        sink(text.substr(begin, i - begin));
        begin = i;
      }
      i += unit_length(text.substr(i));
    }
    if (begin < text.size()) sink(text.substr(begin));
  }

  void start(std::string_view piece, std::vector<uint32_t>& ids) const override {
    while (!piece.empty()) {
      const std::string_view unit = piece.substr(0, unit_length(piece));
      if (const auto id = characters_.find(key_of_unit(unit)); id != characters_.end()) {
        ids.push_back(id->second);
      } else {
        for (const char byte : unit) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
      }
      piece.remove_prefix(unit.size());
    }
  }

  bool is_start(uint32_t id) const override {
    const auto is_it = [&](const auto& character) { return character.second == id; };
    return std::find(byte_ids_.begin(), byte_ids_.end(), id) != byte_ids_.end() ||
           std::any_of(characters_.begin(), characters_.end(), is_it);
  }

 private:
  std::array<uint32_t, 256> byte_ids_;
  bool cut_at_spaces_;
  std::unordered_map<uint32_t, uint32_t> characters_;
  std::array<std::bitset<256>, 256> joins_;  // last byte of a merge's left half, first byte of its right half
};

}  // namespace

std::unique_ptr<const Tokenizer::Scheme> byte_fallback_scheme(const TokenizerParts& parts) {
  return std::make_unique<ByteFallbackScheme>(parts);
}

}  // namespace fabula::text
