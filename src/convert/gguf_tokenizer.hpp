#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.hpp"
#include "text/tokenizer.hpp"

// A tokenizer as GGUF's keys have it: "gpt2", byte-level BPE by its merges, or "llama", SentencePiece's BPE by scores.
namespace fabula::convert {

/// What a model says of its tokens.
struct GgufTokens {
  std::int64_t vocabulary = 0;         ///< rows of the token embedding, which the file names one by one
  std::optional<std::uint32_t> start;  ///< what stands before a text
  std::vector<std::uint32_t> stops;    ///< generation stops at any of them; the first ends documents
};

/// Adds a tokenizer's keys. What llama.cpp would do otherwise is said in a warning. Error kUnsupported, with the
/// reason, for a tokenizer that has no form there: of more tokens than the model, with two tokens of one text, or with
/// merges that no scores order.
void add_tokenizer_keys(GgufKeys& keys, const text::Tokenizer& tokenizer, const GgufTokens& tokens);

struct GgufVocabulary {
  text::Tokenizer tokenizer;
  GgufTokens tokens;
};
/// The way back. Errors: kFormat; kUnsupported for another kind of tokenizer or pre-tokenizer, naming it and those that
/// are read.
GgufVocabulary read_tokenizer_keys(const GgufFile& file);

/// What a pre-tokenizer of llama.cpp is called, and what it does.
struct GgufPreTokenizer {
  std::string_view name;
  std::vector<std::string> patterns;
  bool whole_pieces = false;  ///< TokenizerParts::whole_pieces
  bool exact = true;          ///< else it comes near to the patterns, and letters outside ASCII may be cut otherwise
};
/// Those that are known; the first that fits is written.
const std::vector<GgufPreTokenizer>& gguf_pre_tokenizers();
/// What llama.cpp does where a file names none.
inline constexpr std::string_view kGgufDefaultPre = "default";

/// Values of tokenizer.ggml.token_type.
enum class GgufTokenType : std::int32_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

}  // namespace fabula::convert
