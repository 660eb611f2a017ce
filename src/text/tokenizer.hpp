#pragma once
#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/bpe.hpp"
#include "text/pre_tokenizer.hpp"

namespace fabula::text {

/// What ends a document in a text, whatever the tokenizer; the token of this name ends it in token files where a
/// vocabulary has one and nothing names another.
inline constexpr std::string_view kEndOfText = "<|endoftext|>";

/// Ids beyond this are refused when a vocabulary is read: no real one comes near.
inline constexpr uint32_t kMaxVocabulary = 1u << 22;

/// A token that no merge makes: recognised in text by its content, and only when asked.
struct AddedToken {
  uint32_t id;
  std::string content;
  bool special = true;  ///< tokenizer.json's "special"
};

/// What a tokenizer is made of. The Tokenizer's constructor checks that it fits together.
struct TokenizerParts {
  std::vector<std::string> tokens;    ///< bytes by id; an empty one is an id that nothing produces
  std::vector<Merge> merges;          ///< in the order of their ranks
  std::vector<AddedToken> added;      ///< their contents stand in `tokens` too
  std::vector<std::string> patterns;  ///< of the pre-tokenizer, applied one after another
  bool whole_pieces = false;          ///< a piece that is a token is not merged (tiktoken; "ignore_merges")
  bool prefix_space = false;          ///< text that does not start with a space gets one ("add_prefix_space")
  std::optional<uint32_t> end;        ///< ends a document; none: the first of some well-known names that there is
  bool nfc = false;                   ///< tokenizer.json names the NFC normalizer: kept, not applied (see notes)
  std::vector<std::string> notes;     ///< what a file asked for and fabula does not do, in words for the user
};

struct EncodeOptions {
  bool added_tokens = false;  ///< recognise added tokens such as <|endoftext|>; else their text is ordinary text
};

/// Byte-level byte-pair encoding. Any byte string encodes and decodes back to itself, but for the space that
/// TokenizerParts::prefix_space puts before it and before what follows an added token. Constant after construction:
/// safe to use from several threads.
class Tokenizer {
 public:
  /// Throws kFormat when a byte has no token or a merge does not fit its tokens.
  explicit Tokenizer(TokenizerParts parts);

  /// [bytes] -> [tokens].
  std::vector<uint32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  /// One list of tokens a document, on `threads` threads (0: all of the machine's).
  std::vector<std::vector<uint32_t>> encode_documents(std::span<const std::string_view> documents, size_t threads = 0,
                                                      EncodeOptions options = {}) const;
  /// Exact bytes, which are not valid UTF-8 in general. Throws kInvalidArgument for an id of vocab_size() or more.
  std::string decode(std::span<const uint32_t> ids) const;

  /// One more than the largest id.
  uint32_t vocab_size() const { return static_cast<uint32_t>(parts_.tokens.size()); }
  /// The bytes of a token; empty for an id that nothing produces. Throws kInvalidArgument beyond the vocabulary.
  const std::string& token_bytes(uint32_t id) const;
  /// The token with these bytes, added tokens included.
  std::optional<uint32_t> token_id(std::string_view bytes) const;
  bool has_eot() const { return eot_.has_value(); }
  /// The token that ends a document. Throws kUnsupported when the vocabulary has none.
  uint32_t eot_id() const;
  /// Its text, such as <|endoftext|>; empty when the vocabulary has none.
  std::string_view end_of_text() const;
  /// Another token ends documents; where it was none yet, it is an added token from now on. For whoever loads the
  /// tokenizer, before others see it. Throws kInvalidArgument for a text that is not one token, with those there are.
  void set_end_token(std::string_view text);
  /// Can this id end documents? Not what nothing produces, and not a byte, which any text may hold.
  bool can_end_documents(uint32_t id) const;
  /// Depends on everything that decides the ids of a text, not on the format the tokenizer was read from.
  uint64_t fingerprint() const { return fingerprint_; }

  const TokenizerParts& parts() const { return parts_; }
  /// What the file asked for that is not done, for the user to read; mostly empty.
  const std::vector<std::string>& notes() const { return parts_.notes; }
  void add_note(std::string note) { parts_.notes.push_back(std::move(note)); }

 private:
  class Encoder;
  void check_bytes();
  void check_merges() const;
  void index_added_tokens();
  void settle_end();

  /// Added tokens whose contents start with one byte. The second byte rules out nearly all places where they might
  /// stand, those of runs of spaces too.
  struct AddedTokensOfByte {
    std::vector<size_t> order;  // of parts_.added, longest content first
    std::bitset<256> second_byte;
  };

  TokenizerParts parts_;
  PreTokenizer pre_tokenizer_;
  MergeTable merges_;
  std::array<uint32_t, 256> byte_ids_{};
  std::unordered_map<std::string_view, uint32_t> ids_;  // views into parts_.tokens
  std::array<bool, 256> added_first_byte_{};
  std::array<AddedTokensOfByte, 256> added_by_first_byte_;
  std::optional<uint32_t> eot_;
  uint64_t fingerprint_ = 0;
};

/// Turns tokens into text as they come, holding back the bytes of a character that is not complete.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  /// What can be shown now: everything up to the last whole character. Bytes that can never be UTF-8 pass as they are.
  std::string push(uint32_t id);
  /// The bytes still held back.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  std::string held_;
};

}  // namespace fabula::text
