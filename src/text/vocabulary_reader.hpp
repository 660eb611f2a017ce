#pragma once
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/bpe.hpp"
#include "text/tokenizer.hpp"

namespace fabula::text {

/// Parses a JSON file of a vocabulary. Throws kFormat naming it when it is larger or deeper than any real one (parsing
/// takes some ten times its size in memory), is not JSON, or has a key twice.
nlohmann::json parse_vocabulary_json(std::string_view json, std::string_view file);

/// The tokenizer of what a file held; its errors begin with the file's name.
Tokenizer make_tokenizer(TokenizerParts parts, std::string_view file);

/// Puts a token at its id, growing the list. Throws kFormat for an id beyond kMaxVocabulary or one that is taken.
void place_token(std::vector<std::string>& tokens, uint64_t id, std::string bytes, std::string_view file);

/// Bytes of one vocabulary entry in the byte alphabet. Throws kUnsupported, naming it, when it is not of the alphabet.
std::string token_from_alphabet(std::string_view printable, std::string_view file);

/// How vocabularies with byte fallback name a byte's token: "<0x0A>".
std::string byte_token_name(size_t byte);
/// The byte of such a name.
std::optional<uint8_t> byte_of_token_name(std::string_view name);

/// Collects merges given by the bytes of their halves and checks them against the vocabulary.
class MergeReader {
 public:
  MergeReader(const std::vector<std::string>& tokens, std::string_view file);
  ~MergeReader();
  /// `where` names the line or entry for messages. Throws kFormat when a half or the whole is not a token, or the pair
  /// came before.
  void add(std::string_view left, std::string_view right, size_t where);
  /// The two of a merge in the form "left right". Throws kFormat.
  std::pair<std::string_view, std::string_view> halves(std::string_view line, size_t where) const;
  /// A merge in that form, both halves in the byte alphabet.
  void add_printable(std::string_view line, size_t where);
  void add_printable(std::string_view left, std::string_view right, size_t where);
  std::vector<Merge> take() { return std::move(merges_); }

 private:
  struct Index;
  std::unique_ptr<Index> index_;
  std::string_view file_;
  std::vector<Merge> merges_;
};

}  // namespace fabula::text
