#include <algorithm>
#include <unordered_map>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "convert/gguf_tokenizer.hpp"
#include "text/byte_alphabet.hpp"
#include "text/ranked_merges.hpp"
#include "text/space_blocks.hpp"
#include "text/utf8.hpp"
#include "text/vocabulary_reader.hpp"

namespace fabula::convert {
namespace {

using text::Merge;
using text::MergeTable;
using text::PrefixSpace;
using text::Tokenizer;
using text::TokenizerParts;
using Type = GgufTokenType;

/// The tokens' texts and types, one a row of the model.
class TokenList {
 public:
  TokenList(const Tokenizer& tokenizer, std::int64_t vocabulary)
      : parts_(tokenizer.parts()),
        texts_(static_cast<std::size_t>(vocabulary)),
        types_(texts_.size(), static_cast<std::int32_t>(Type::kUnused)) {
    if (parts_.tokens.size() > texts_.size())
      fail(ErrorCode::kUnsupported,
           "the tokenizer has {} tokens, the model {}: a GGUF file has as many tokens as the model has rows, and these "
           "would be cut off in texts",
           parts_.tokens.size(), vocabulary);
    if (parts_.fallback)
      name_pieces();
    else
      name_byte_level();
    name_added();
    name_rest();
  }

  void add_to(GgufKeys& keys) const {
    keys.texts("tokenizer.ggml.tokens", texts_);
    keys.i32s("tokenizer.ggml.token_type", types_);
  }

 private:
  void name(std::uint32_t id, std::string text, Type type) {
    const auto [other, is_new] = ids_.emplace(text, id);
    if (!is_new)
      fail(ErrorCode::kUnsupported, "tokens {} and {} are both {}: llama.cpp takes no two tokens of one text",
           other->second, id, text::quote(text));
    texts_[id] = std::move(text);
    types_[id] = static_cast<std::int32_t>(type);
  }

  void name_byte_level() {
    std::vector<bool> alone(parts_.tokens.size(), false);  // an added token that no merge makes has no such name
    for (const text::AddedToken& token : parts_.added) alone[token.id] = true;
    for (const Merge& merge : parts_.merges) alone[merge.left] = alone[merge.right] = alone[merge.result] = false;
    for (std::uint32_t id = 0; id < alone.size(); ++id)
      if (!parts_.tokens[id].empty() && !alone[id]) name(id, text::to_byte_alphabet(parts_.tokens[id]), Type::kNormal);
  }

  void name_pieces() {
    std::vector<bool> named(parts_.tokens.size(), false);
    for (const text::AddedToken& token : parts_.added) named[token.id] = true;
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t id = parts_.fallback->byte_ids[byte];
      named[id] = true;
      name(id, text::byte_token_name(byte), Type::kByte);
    }
    for (std::uint32_t id = 0; id < named.size(); ++id)
      if (!parts_.tokens[id].empty() && !named[id]) name(id, text::spaces_to_blocks(parts_.tokens[id]), Type::kNormal);
  }

  void name_added() {
    for (const text::AddedToken& token : parts_.added) {
      const bool unknown = parts_.fallback && token.content == "<unk>";
      const Type type = unknown ? Type::kUnknown : token.special ? Type::kControl : Type::kUserDefined;
      if (texts_[token.id].empty())
        name(token.id, token.content, type);
      else if (texts_[token.id] == token.content)  // merges make it too
        types_[token.id] = static_cast<std::int32_t>(type);
    }
  }

  /// Rows that no token has, and ids that nothing produces.
  void name_rest() {
    for (std::uint32_t id = 0; id < texts_.size(); ++id) {
      if (!texts_[id].empty()) continue;
      std::string text = fmt::format("[PAD{}]", id);
      while (ids_.contains(text)) text += '_';
      name(id, std::move(text), Type::kUnused);
    }
  }

  const TokenizerParts& parts_;
  std::vector<std::string> texts_;
  std::vector<std::int32_t> types_;
  std::unordered_map<std::string, std::uint32_t> ids_;
};

const GgufPreTokenizer* pre_tokenizer_of(const TokenizerParts& parts) {
  const GgufPreTokenizer* near = nullptr;
  for (const GgufPreTokenizer& known : gguf_pre_tokenizers()) {
    if (known.patterns != parts.patterns) continue;
    if (known.whole_pieces == parts.whole_pieces) return &known;
    if (near == nullptr) near = &known;
  }
  return near;
}

/// Does merging give every token that a piece may be?
bool merges_reach_all(const Tokenizer& tokenizer) {
  const TokenizerParts& parts = tokenizer.parts();
  std::vector<bool> made(parts.tokens.size(), false);
  for (const Merge& merge : parts.merges) made[merge.result] = true;
  const MergeTable table(parts.merges);
  std::vector<std::uint32_t> bytes(256), ids;
  for (std::uint32_t id = 0; id < parts.tokens.size(); ++id)
    if (parts.tokens[id].size() == 1 && !tokenizer.is_added(id))
      bytes[static_cast<unsigned char>(parts.tokens[id][0])] = id;
  for (std::uint32_t id = 0; id < made.size(); ++id) {
    if (!made[id]) continue;
    ids.clear();
    for (const char byte : parts.tokens[id]) ids.push_back(bytes[static_cast<unsigned char>(byte)]);
    merge_piece(table, ids);
    if (ids != std::vector{id}) return false;
  }
  return true;
}

void warn_of_pre_tokenizer(const GgufPreTokenizer* known, const Tokenizer& tokenizer) {
  const TokenizerParts& parts = tokenizer.parts();
  if (known == nullptr)
    warn(
        "llama.cpp has no name for the tokenizer's pre-tokenizer and takes its own: texts may be cut into other "
        "tokens there");
  else if (!known->exact)
    warn("llama.cpp's pre-tokenizer {} is not quite the tokenizer's: letters outside ASCII may be cut otherwise there",
         known->name);
  if (known != nullptr && known->whole_pieces != parts.whole_pieces && !merges_reach_all(tokenizer))
    warn(
        "llama.cpp merges pieces that are tokens already otherwise than the tokenizer: texts may be cut into other "
        "tokens there");
  if (parts.prefix != PrefixSpace::kNever)
    warn("the tokenizer puts a space before a text, llama.cpp does not for its kind: begin texts with a space there");
}

void add_byte_level(GgufKeys& keys, const Tokenizer& tokenizer) {
  const TokenizerParts& parts = tokenizer.parts();
  const GgufPreTokenizer* known = pre_tokenizer_of(parts);
  warn_of_pre_tokenizer(known, tokenizer);
  keys.text("tokenizer.ggml.model", "gpt2");
  if (known != nullptr) keys.text("tokenizer.ggml.pre", known->name);
  std::vector<std::string> merges;
  merges.reserve(parts.merges.size());
  for (const Merge& merge : parts.merges)
    merges.push_back(text::to_byte_alphabet(parts.tokens[merge.left]) + " " +
                     text::to_byte_alphabet(parts.tokens[merge.right]));
  keys.texts("tokenizer.ggml.merges", merges);
}

/// A score a token, so that merging the pair whose whole has the best score is what the merges' ranks say.
std::vector<float> scores_of(const TokenizerParts& parts, std::size_t vocabulary) {
  std::vector<std::uint32_t> ranks(parts.tokens.size(), static_cast<std::uint32_t>(parts.merges.size()));
  for (const std::uint32_t id : parts.fallback->byte_ids) ranks[id] = MergeTable::kNoRank;
  for (const text::AddedToken& token : parts.added) ranks[token.id] = MergeTable::kNoRank;
  for (std::uint32_t id = 0; id < ranks.size(); ++id)
    if (parts.tokens[id].empty()) ranks[id] = MergeTable::kNoRank;
  std::vector<bool> ranked(ranks.size(), false);
  bool by_result = true;
  for (std::size_t i = 0; i < parts.merges.size(); ++i) {
    const Merge& merge = parts.merges[i];
    const bool first = !ranked[merge.result];
    by_result =
        by_result && (first || parts.merges[i - 1].result == merge.result || parts.merges[i - 1].rank == merge.rank);
    if (first) ranks[merge.result] = merge.rank;
    ranked[merge.result] = true;
  }
  const auto pairs = [](const std::vector<Merge>& merges) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> list;
    for (const Merge& merge : merges) list.emplace_back(merge.left, merge.right);
    std::sort(list.begin(), list.end());
    return list;
  };
  if (!by_result || pairs(text::merges_of_ranks(parts.tokens, ranks)) != pairs(parts.merges))
    fail(ErrorCode::kUnsupported,
         "the tokenizer merges by a list that is no order of its tokens by scores, as llama.cpp merges where bytes are "
         "what characters fall back on: texts would be cut into other tokens");
  std::vector<float> scores(vocabulary, 0.0f);
  for (std::size_t id = 0; id < ranks.size(); ++id)
    if (ranks[id] != MergeTable::kNoRank) scores[id] = -static_cast<float>(ranks[id]);
  return scores;
}

void add_pieces(GgufKeys& keys, const Tokenizer& tokenizer, std::size_t vocabulary) {
  const TokenizerParts& parts = tokenizer.parts();
  const auto space_within = [](const std::string& token) { return token.find(' ', 1) != std::string::npos; };
  const bool cuts = parts.fallback->cut_at_spaces &&
                    std::any_of(parts.merges.begin(), parts.merges.end(),
                                [&](const Merge& merge) { return space_within(parts.tokens[merge.result]); });
  if (cuts) warn("llama.cpp merges across spaces, the tokenizer does not: texts may be cut into other tokens there");
  if (parts.prefix == PrefixSpace::kUnlessSpace || parts.prefix == PrefixSpace::kFirstUnlessSpace)
    warn(
        "llama.cpp puts a space before any text, also before one that begins with a space, which the tokenizer does "
        "not");
  keys.text("tokenizer.ggml.model", "llama");
  keys.text("tokenizer.ggml.pre", kGgufDefaultPre);
  keys.f32s("tokenizer.ggml.scores", scores_of(parts, vocabulary));
  keys.flag("tokenizer.ggml.add_space_prefix", parts.prefix != PrefixSpace::kNever);
}

void add_special_ids(GgufKeys& keys, const Tokenizer& tokenizer, const GgufTokens& tokens) {
  const bool pieces = tokenizer.parts().fallback.has_value();
  const auto id = [&](const char* what, std::uint32_t value) {
    keys.u32(fmt::format("tokenizer.ggml.{}_token_id", what), value);
  };
  if (tokens.start) id("bos", *tokens.start);
  if (!tokens.stops.empty()) {
    id("eos", tokens.stops[0]);
    id("padding", tokens.stops[0]);
  } else if (!pieces) {
    warn("no token ends a text; llama.cpp takes token 11 for one that does");
  }
  if (tokens.stops.size() > 1) id("eot", tokens.stops[1]);
  if (tokens.stops.size() > 2)
    warn("{} tokens end a text, the file holds two of them: at the other {} llama.cpp goes on", tokens.stops.size(),
         tokens.stops.size() - 2);
  if (const auto unknown = tokenizer.token_id("<unk>"); pieces && unknown) id("unknown", *unknown);
  keys.flag("tokenizer.ggml.add_bos_token", pieces && tokenizer.parts().fallback->begin.has_value());
  keys.flag("tokenizer.ggml.add_eos_token", false);
}

}  // namespace

void add_tokenizer_keys(GgufKeys& keys, const Tokenizer& tokenizer, const GgufTokens& tokens) {
  const TokenList list(tokenizer, tokens.vocabulary);
  if (tokenizer.parts().fallback)
    add_pieces(keys, tokenizer, static_cast<std::size_t>(tokens.vocabulary));
  else
    add_byte_level(keys, tokenizer);
  list.add_to(keys);
  add_special_ids(keys, tokenizer, tokens);
}

}  // namespace fabula::convert
