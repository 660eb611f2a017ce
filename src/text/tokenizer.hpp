#pragma once
#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/bpe.hpp"

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

/// Which texts get a space before them; so do the stretches between added tokens. Never an empty one.
enum class PrefixSpace {
  kNever,
  kUnlessSpace,       ///< where none stands there already ("add_prefix_space")
  kFirstUnlessSpace,  ///< the same, and not behind an added token
  kAlways,            ///< also before another (SentencePiece's dummy prefix)
};

/// What makes a tokenizer SentencePiece's kind of BPE: a text starts as characters, and one that has no token as bytes.
struct ByteFallback {
  std::array<uint32_t, 256> byte_ids{};  ///< of the tokens <0x00> to <0xFF>, which no merge takes or makes
  bool drops_prefix = true;              ///< decoding drops a space where a text begins
  bool blocks_are_spaces = false;        ///< a text's U+2581 becomes a space, as where files write spaces so
  bool cut_at_spaces = false;            ///< no merge crosses what stands before a space
  std::optional<uint32_t> begin;         ///< what other programs put before a text, which encoding does not
};

/// What a tokenizer is made of. The Tokenizer's constructor checks that it fits together.
struct TokenizerParts {
  std::vector<std::string> tokens;       ///< bytes by id; an empty one is an id that nothing produces
  std::vector<Merge> merges;             ///< in the order of their ranks
  std::vector<AddedToken> added;         ///< their contents stand in `tokens` too
  std::optional<ByteFallback> fallback;  ///< none: byte-level BPE
  std::vector<std::string> patterns;     ///< of the pre-tokenizer, applied one after another; byte-level only
  bool whole_pieces = false;             ///< a piece that is a token is not merged (tiktoken; "ignore_merges")
  PrefixSpace prefix = PrefixSpace::kNever;
  std::optional<uint32_t> end;     ///< ends a document; none: the first of some well-known names that there is
  bool nfc = false;                ///< tokenizer.json names the NFC normalizer: kept, not applied (see notes)
  std::vector<std::string> notes;  ///< what a file asked for and fabula does not do, in words for the user
};

struct EncodeOptions {
  bool added_tokens = false;  ///< recognise added tokens such as <|endoftext|>; else their text is ordinary text
};

/// Byte-pair encoding, of bytes (GPT-2's kind) or of characters with bytes to fall back on (SentencePiece's), told
/// apart by TokenizerParts::fallback alone. Any byte string encodes and decodes back to itself, but for a space that
/// TokenizerParts::prefix puts before it and before what follows an added token, and decoding does not drop; and but
/// for ByteFallback::blocks_are_spaces. Constant after construction: safe to use from several threads.
class Tokenizer {
 public:
  class Scheme;
  /// Throws kFormat when a byte has no token or a merge does not fit its tokens.
  explicit Tokenizer(TokenizerParts parts);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// [bytes] -> [tokens].
  std::vector<uint32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  /// One list of tokens a document, on `threads` threads (0: all of the machine's).
  std::vector<std::vector<uint32_t>> encode_documents(std::span<const std::string_view> documents, size_t threads = 0,
                                                      EncodeOptions options = {}) const;
  /// Exact bytes, which are not valid UTF-8 in general, of tokens that begin a text. Throws kInvalidArgument for an id
  /// of vocab_size() or more.
  std::string decode(std::span<const uint32_t> ids) const;
  /// What a token adds to a text behind the token `previous`; none: it begins the text.
  std::string_view decode_next(uint32_t id, std::optional<uint32_t> previous) const;

  /// One more than the largest id.
  uint32_t vocab_size() const { return static_cast<uint32_t>(parts_.tokens.size()); }
  /// The bytes of a token; empty for an id that nothing produces. Throws kInvalidArgument beyond the vocabulary.
  const std::string& token_bytes(uint32_t id) const;
  /// The token with these bytes, added tokens included.
  std::optional<uint32_t> token_id(std::string_view bytes) const;
  /// Is it recognised by its content alone, as <s> is, and no part of a text?
  bool is_added(uint32_t id) const;
  bool has_eot() const { return eot_.has_value(); }
  /// The token that ends a document. Throws kUnsupported when the vocabulary has none.
  uint32_t eot_id() const;
  /// Its text, such as <|endoftext|>; empty when the vocabulary has none.
  std::string_view end_of_text() const;
  /// Another token ends documents; where it was none yet, it is an added token from now on. For whoever loads the
  /// tokenizer, before others see it. Throws kInvalidArgument for a text that is not one token, with those there are.
  void set_end_token(std::string_view text);
  /// Can this id end documents? Not what nothing produces, and not a byte or a character that merges start from, which
  /// any text may hold.
  bool can_end_documents(uint32_t id) const;
  /// Depends on everything that decides the ids of a text, not on the format the tokenizer was read from.
  uint64_t fingerprint() const { return fingerprint_; }

  const TokenizerParts& parts() const { return parts_; }
  /// What the file asked for that is not done, for the user to read; mostly empty.
  const std::vector<std::string>& notes() const { return parts_.notes; }
  void add_note(std::string note) { parts_.notes.push_back(std::move(note)); }

 private:
  class Encoder;
  /// Is it an added token that no text makes by itself?
  bool stands_alone(uint32_t id) const;
  void index_tokens();
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
  MergeTable merges_;
  std::unique_ptr<const Scheme> scheme_;
  std::unordered_map<std::string_view, uint32_t> ids_;  // views into parts_.tokens
  std::array<bool, 256> added_first_byte_{};
  std::array<AddedTokensOfByte, 256> added_by_first_byte_;
  std::optional<uint32_t> eot_;
  uint64_t fingerprint_ = 0;
};

/// Turns tokens into text as they come, holding back the bytes of a character that is not complete.
class StreamDecoder {
 public:
  /// `before`: what the text begins with, a prompt say, which is not shown; empty: the text begins here.
  StreamDecoder(const Tokenizer& tokenizer, std::span<const uint32_t> before) : tokenizer_(tokenizer) {
    if (!before.empty()) previous_ = before.back();
  }
  /// What can be shown now: everything up to the last whole character. Bytes that can never be UTF-8 pass as they are.
  std::string push(uint32_t id);
  /// The bytes still held back.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  std::optional<uint32_t> previous_;
  std::string held_;
};

}  // namespace fabula::text
