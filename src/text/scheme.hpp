#pragma once
#include <memory>
#include <string_view>
#include <vector>

#include "text/pre_tokenizer.hpp"
#include "text/tokenizer.hpp"

namespace fabula::text {

/// What one kind of tokenizer does with a text before tokens are merged. Constant: safe to use from several threads.
class Tokenizer::Scheme {
 public:
  virtual ~Scheme() = default;
  /// Hands on, in order, the pieces of a text that no merge crosses; none is empty.
  virtual void split(std::string_view text, const PreTokenizer::PieceSink& sink) const = 0;
  /// Appends the tokens that merging a piece starts from.
  virtual void start(std::string_view piece, std::vector<uint32_t>& ids) const = 0;
  /// Is it a token that start() gives, as any text may hold it?
  virtual bool is_start(uint32_t id) const = 0;
};

/// Merges start from a piece's bytes, and pieces are what patterns say. `ids`: of bytes, without added tokens.
std::unique_ptr<const Tokenizer::Scheme> byte_level_scheme(const TokenizerParts& parts,
                                                           const std::unordered_map<std::string_view, uint32_t>& ids);

/// Merges start from a text's characters, or from a character's bytes where it has no token. Throws kFormat where
/// parts.fallback does not fit the tokens.
std::unique_ptr<const Tokenizer::Scheme> byte_fallback_scheme(const TokenizerParts& parts);

}  // namespace fabula::text
