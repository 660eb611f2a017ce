#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "text/tokenizer_files.hpp"

// What the readers of tokenizer.json's two kinds share: https://huggingface.co/docs/tokenizers
namespace fabula::text {

/// In an entry of added_tokens, where other readers pass over it: this token ends documents.
inline constexpr const char* kEndMark = "end_of_text";
/// In the model, where other readers pass over it: the merges' ranks, where several share one.
inline constexpr const char* kMergeRanks = "merge_ranks";

class TokenizerJson {
 public:
  using json = nlohmann::json;
  TokenizerJson(const json& root, std::string_view name) : root_(root), name_(name) {}

 protected:
  /// Null where the object has no such key, or is none.
  static const json& member(const json& object, const char* key);
  std::string type_of(const json& part, std::string_view where) const;
  /// A part by its kind: "NFKC", "a Sequence of NFD, StripAccents".
  static std::string kind_of(const json& part);

  [[noreturn]] void refuse(std::string_view where, std::string_view found, std::string_view why) const;
  [[noreturn]] void refuse_part(std::string_view where, const json& found, std::string_view why) const {
    refuse(where, kind_of(found), why);
  }

  void note_post_processor();
  void read_added_tokens();
  /// The model object, which is of type BPE and has no affixes.
  const json& checked_model() const;
  /// Calls handle(text, id) for each entry of the model's vocabulary that is not an added token's.
  void for_each_token(const json& vocabulary, const std::function<void(const std::string&, uint64_t)>& handle) const;
  /// Calls one of the two for each merge: with "left right", or with both halves.
  void for_each_merge(const json& merges, const std::function<void(const std::string&, size_t)>& joined,
                      const std::function<void(const std::string&, const std::string&, size_t)>& pair) const;

  const json& root_;
  std::string_view name_;
  TokenizerParts parts_;
};

/// The two kinds. Errors: as read_tokenizer_json.
TokenizerParts read_byte_level_json(const nlohmann::json& root, std::string_view name);
TokenizerParts read_byte_fallback_json(const nlohmann::json& root, std::string_view name);

/// Is it of the kind that starts from characters, with bytes to fall back on?
bool is_byte_fallback_json(const nlohmann::json& root);

/// The parts of a file in which the kinds differ: pre_tokenizer, normalizer, decoder, post_processor and the model.
void write_byte_level_json(const TokenizerParts& parts, nlohmann::ordered_json& root);
void write_byte_fallback_json(const TokenizerParts& parts, nlohmann::ordered_json& root);

}  // namespace fabula::text
