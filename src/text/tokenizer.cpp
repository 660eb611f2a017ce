#include "text/tokenizer.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "base/hash.hpp"
#include "base/parallel.hpp"
#include "text/scheme.hpp"
#include "text/space_blocks.hpp"
#include "text/utf8.hpp"

namespace fabula::text {
namespace {

// Names for the end of a document, the best first.
constexpr std::string_view kEndNames[] = {kEndOfText, "<|end_of_text|>", "<｜end▁of▁sentence｜>", "</s>"};

struct PieceHash {
  using is_transparent = void;
  size_t operator()(std::string_view piece) const { return std::hash<std::string_view>{}(piece); }
};

uint64_t hash_number(uint64_t number, uint64_t hash) {
  unsigned char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(number >> (8 * i));
  return fnv1a(bytes, sizeof(bytes), hash);
}

uint64_t hash_text(std::string_view text, uint64_t hash) {
  return fnv1a(text, hash_number(text.size(), hash));
}

uint64_t fingerprint_of(const TokenizerParts& parts) {
  uint64_t hash = hash_number(parts.tokens.size(), kFnvOffset);
  for (const std::string& token : parts.tokens) hash = hash_text(token, hash);
  for (const Merge& merge : parts.merges) {
    hash = hash_number(uint64_t{merge.left} << 32 | merge.right, hash_number(merge.result, hash));
  }
  for (const AddedToken& token : parts.added) hash = hash_text(token.content, hash_number(token.id, hash));
  for (const std::string& pattern : parts.patterns) hash = hash_text(pattern, hash);
  hash = hash_number(parts.whole_pieces ? 1 : 0, hash);
  if (!parts.fallback) return parts.prefix != PrefixSpace::kNever ? hash_text(" ", hash) : hash;
  hash = hash_number(static_cast<uint64_t>(parts.prefix), hash_text("byte_fallback", hash));
  for (const uint32_t id : parts.fallback->byte_ids) hash = hash_number(id, hash);
  for (const Merge& merge : parts.merges) hash = hash_number(merge.rank, hash);  // several may share one
  return hash_number((parts.fallback->blocks_are_spaces ? 1 : 0) + (parts.fallback->cut_at_spaces ? 2 : 0), hash);
}

bool wants_space(PrefixSpace prefix, std::string_view text, bool first) {
  switch (prefix) {
    case PrefixSpace::kNever:
      return false;
    case PrefixSpace::kUnlessSpace:
      return text[0] != ' ';
    case PrefixSpace::kFirstUnlessSpace:
      return first && text[0] != ' ';
    case PrefixSpace::kAlways:
      return true;
  }
  return false;
}

}  // namespace

/// Encodes text after text with a cache of the pieces it has met; one a thread.
class Tokenizer::Encoder {
 public:
  explicit Encoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void encode(std::string_view text, EncodeOptions options, std::vector<uint32_t>& out) {
    if (!options.added_tokens || tokenizer_.parts_.added.empty()) return encode_plain(text, true, out);
    size_t plain_begin = 0;
    for (size_t i = next_candidate(text, 0); i < text.size();) {
      const AddedToken* token = added_token_at(text.substr(i));
      if (token == nullptr) {
        i = next_candidate(text, i + 1);
        continue;
      }
      encode_plain(text.substr(plain_begin, i - plain_begin), plain_begin == 0, out);
      out.push_back(token->id);
      plain_begin = i + token->content.size();
      i = next_candidate(text, plain_begin);
    }
    encode_plain(text.substr(plain_begin), plain_begin == 0, out);
  }

 private:
  /// Where an added token may start, at or behind `begin`; most bytes of most texts are passed here.
  size_t next_candidate(std::string_view text, size_t begin) const {
    while (begin < text.size() && !tokenizer_.added_first_byte_[static_cast<unsigned char>(text[begin])]) ++begin;
    return begin;
  }

  const AddedToken* added_token_at(std::string_view text) const {
    const AddedTokensOfByte& candidates = tokenizer_.added_by_first_byte_[static_cast<unsigned char>(text[0])];
    if (text.size() > 1 && !candidates.second_byte[static_cast<unsigned char>(text[1])]) return nullptr;
    for (const size_t index : candidates.order) {
      const AddedToken& token = tokenizer_.parts_.added[index];
      if (text.starts_with(token.content)) return &token;
    }
    return nullptr;
  }

  /// `first`: no added token stands before it.
  void encode_plain(std::string_view text, bool first, std::vector<uint32_t>& out) {
    if (text.empty()) return;
    const TokenizerParts& parts = tokenizer_.parts_;
    std::string changed;
    if (parts.fallback && parts.fallback->blocks_are_spaces && text.find(kSpaceBlock) != std::string_view::npos)
      text = changed = blocks_to_spaces(text);
    if (wants_space(parts.prefix, text, first)) {
      if ((static_cast<unsigned char>(text[0]) & 0xC0) == 0x80) {  // a stray byte, which belongs to no space
        encode_piece(" ", out);
      } else {
        text = changed = std::string(1, ' ').append(text);
      }
    }
    tokenizer_.scheme_->split(text, [&](std::string_view piece) { encode_piece(piece, out); });
  }

  void encode_piece(std::string_view piece, std::vector<uint32_t>& out) {
    constexpr size_t kMaxCachedBytes = 48, kMaxCachedPieces = 1 << 17;  // at most some 20 MB a thread
    if (piece.size() == 1) return tokenizer_.scheme_->start(piece, out);
    const bool cacheable = piece.size() <= kMaxCachedBytes;
    if (cacheable) {
      if (const auto found = cache_.find(piece); found != cache_.end()) {
        const auto begin = cached_ids_.begin() + found->second.first;
        out.insert(out.end(), begin, begin + found->second.second);
        return;
      }
    }
    merge(piece);
    if (cacheable && cache_.size() < kMaxCachedPieces) {
      cache_.emplace(piece, std::pair(static_cast<ptrdiff_t>(cached_ids_.size()), static_cast<ptrdiff_t>(ids_.size())));
      cached_ids_.insert(cached_ids_.end(), ids_.begin(), ids_.end());
    }
    out.insert(out.end(), ids_.begin(), ids_.end());
  }

  void merge(std::string_view piece) {
    ids_.clear();
    if (tokenizer_.parts_.whole_pieces) {
      if (const auto id = tokenizer_.ids_.find(piece); id != tokenizer_.ids_.end()) return ids_.push_back(id->second);
    }
    tokenizer_.scheme_->start(piece, ids_);
    merge_piece(tokenizer_.merges_, ids_);
  }

  const Tokenizer& tokenizer_;
  std::unordered_map<std::string, std::pair<ptrdiff_t, ptrdiff_t>, PieceHash, std::equal_to<>> cache_;
  std::vector<uint32_t> cached_ids_, ids_;
};

Tokenizer::Tokenizer(TokenizerParts parts) : parts_(std::move(parts)), merges_(parts_.merges) {
  index_tokens();
  if (!parts_.fallback) scheme_ = byte_level_scheme(parts_, ids_);  // what lacks a byte is told of that first
  check_merges();
  if (parts_.fallback) scheme_ = byte_fallback_scheme(parts_);
  index_added_tokens();
  settle_end();
  fingerprint_ = fingerprint_of(parts_);
}

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

void Tokenizer::index_tokens() {
  if (parts_.tokens.size() > kMaxVocabulary) {
    fail(ErrorCode::kFormat, "the vocabulary has {} ids, at most {} are taken", parts_.tokens.size(), kMaxVocabulary);
  }
  ids_.reserve(parts_.tokens.size());
  // Added tokens are entered last and only where no ordinary token has the same bytes: text never encodes to them by
  // itself.
  std::vector<bool> is_added(parts_.tokens.size(), false);
  for (const AddedToken& token : parts_.added) {
    if (token.id >= parts_.tokens.size() || parts_.tokens[token.id] != token.content || token.content.empty()) {
      fail(ErrorCode::kFormat, "the added token {} has id {}, which the vocabulary does not give to it",
           quote(token.content), token.id);
    }
    is_added[token.id] = true;
  }
  if (parts_.fallback) {  // a byte is the token of its character only where there is no other
    for (const uint32_t id : parts_.fallback->byte_ids)
      if (id < is_added.size()) is_added[id] = true;
  }
  for (uint32_t id = 0; id < vocab_size(); ++id) {
    if (!parts_.tokens[id].empty() && !is_added[id]) ids_.emplace(parts_.tokens[id], id);
  }
}

void Tokenizer::check_merges() const {
  for (const Merge& merge : parts_.merges) {
    const uint32_t size = vocab_size();
    if (merge.left >= size || merge.right >= size || merge.result >= size || merge.rank == MergeTable::kNoRank) {
      fail(ErrorCode::kFormat, "the merge of rank {} names tokens {} + {} = {}, the vocabulary has {}", merge.rank,
           merge.left, merge.right, merge.result, size);
    }
    const std::string &left = parts_.tokens[merge.left], &right = parts_.tokens[merge.right],
                      &result = parts_.tokens[merge.result];
    if (left.empty() || right.empty() || result.size() != left.size() + right.size() || !result.starts_with(left) ||
        !result.ends_with(right)) {
      fail(ErrorCode::kFormat, "the merge of rank {} makes {} of {} and {}", merge.rank, quote(result), quote(left),
           quote(right));
    }
  }
}

void Tokenizer::index_added_tokens() {
  added_first_byte_ = {};  // it is indexed again when another token comes to end documents
  added_by_first_byte_ = {};
  for (size_t i = 0; i < parts_.added.size(); ++i) {
    const std::string& content = parts_.added[i].content;
    const auto first = static_cast<unsigned char>(content[0]);
    added_first_byte_[first] = true;
    AddedTokensOfByte& candidates = added_by_first_byte_[first];
    candidates.order.push_back(i);
    if (content.size() > 1) {
      candidates.second_byte.set(static_cast<unsigned char>(content[1]));
    } else {
      candidates.second_byte.set();
    }
  }
  for (AddedTokensOfByte& candidates : added_by_first_byte_) {
    std::stable_sort(candidates.order.begin(), candidates.order.end(), [&](size_t a, size_t b) {
      return parts_.added[a].content.size() > parts_.added[b].content.size();
    });
  }
}

void Tokenizer::settle_end() {
  if (parts_.end && !can_end_documents(*parts_.end)) {
    fail(ErrorCode::kFormat, "documents cannot end with the token of id {}: {}", *parts_.end,
         *parts_.end < vocab_size() ? "any text may hold it, or it is no token" : "the vocabulary ends before");
  }
  eot_ = parts_.end;
  for (const std::string_view name : kEndNames) {
    if (!eot_) eot_ = token_id(name);
  }
}

bool Tokenizer::can_end_documents(uint32_t id) const {
  return id < vocab_size() && !parts_.tokens[id].empty() &&
         valid_utf8_length(parts_.tokens[id]) == parts_.tokens[id].size() && !scheme_->is_start(id);
}

void Tokenizer::set_end_token(std::string_view text) {
  const std::optional<uint32_t> id = token_id(text);
  if (!id || !can_end_documents(*id)) {
    constexpr size_t kMaxShown = 8;
    std::string there;
    for (size_t i = 0; i < std::min(parts_.added.size(), kMaxShown); ++i) {
      there += fmt::format("{}{}", i == 0 ? "" : ", ", quote(parts_.added[i].content));
    }
    if (parts_.added.size() > kMaxShown) there += fmt::format(" and {} more", parts_.added.size() - kMaxShown);
    fail(ErrorCode::kInvalidArgument, "{} is {}, so documents cannot end with it; the added tokens are {}", quote(text),
         id ? "a byte that any text may hold, or no whole character" : "not one token", there.empty() ? "none" : there);
  }
  parts_.end = eot_ = id;
  if (is_added(*id)) return;
  ids_.erase(parts_.tokens[*id]);
  parts_.added.push_back({*id, parts_.tokens[*id]});
  index_added_tokens();
  fingerprint_ = fingerprint_of(parts_);
}

std::vector<uint32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<uint32_t> out;
  Encoder(*this).encode(text, options, out);
  return out;
}

std::vector<std::vector<uint32_t>> Tokenizer::encode_documents(std::span<const std::string_view> documents,
                                                               size_t threads, EncodeOptions options) const {
  std::vector<std::vector<uint32_t>> out(documents.size());
  threads = std::min(thread_count_or_default(threads), std::max<size_t>(documents.size(), 1));
  std::vector<Encoder> encoders(threads, Encoder(*this));
  parallel_for(threads, documents.size(), [&](size_t worker, size_t document) {
    encoders[worker].encode(documents[document], options, out[document]);
  });
  return out;
}

std::string Tokenizer::decode(std::span<const uint32_t> ids) const {
  std::string out;
  std::optional<uint32_t> previous;
  for (const uint32_t id : ids) {
    out += decode_next(id, previous);
    previous = id;
  }
  return out;
}

std::string_view Tokenizer::decode_next(uint32_t id, std::optional<uint32_t> previous) const {
  std::string_view bytes = token_bytes(id);
  // The space that encoding has put where a text begins.
  const bool may_drop = parts_.fallback && parts_.fallback->drops_prefix && bytes.starts_with(' ');
  if (may_drop && !is_added(id) && (!previous || stands_alone(*previous))) bytes.remove_prefix(1);
  return bytes;
}

bool Tokenizer::is_added(uint32_t id) const {
  return std::any_of(parts_.added.begin(), parts_.added.end(), [&](const AddedToken& token) { return token.id == id; });
}

bool Tokenizer::stands_alone(uint32_t id) const {
  const auto makes = [&](const Merge& merge) { return merge.result == id; };
  return is_added(id) && std::none_of(parts_.merges.begin(), parts_.merges.end(), makes);
}

const std::string& Tokenizer::token_bytes(uint32_t id) const {
  if (id >= vocab_size()) {
    fail(ErrorCode::kInvalidArgument, "token id {} is beyond the vocabulary of {} tokens", id, vocab_size());
  }
  return parts_.tokens[id];
}

std::optional<uint32_t> Tokenizer::token_id(std::string_view bytes) const {
  for (const AddedToken& token : parts_.added) {
    if (token.content == bytes) return token.id;
  }
  const auto id = ids_.find(bytes);
  return id != ids_.end() ? std::optional(id->second) : std::nullopt;
}

uint32_t Tokenizer::eot_id() const {
  if (!eot_) {
    fail(ErrorCode::kUnsupported,
         "the tokenizer names no token that ends a document (such as {}); name one of its tokens with --end-token",
         kEndOfText);
  }
  return *eot_;
}

std::string_view Tokenizer::end_of_text() const {
  return eot_ ? std::string_view(parts_.tokens[*eot_]) : std::string_view();
}

std::string StreamDecoder::push(uint32_t id) {
  held_ += tokenizer_.decode_next(id, previous_);
  previous_ = id;
  size_t ready = 0;
  while (ready < held_.size()) {
    const Utf8Sequence sequence = first_utf8_sequence(std::string_view(held_).substr(ready));
    if (sequence.kind == Utf8Sequence::Kind::kTruncated) break;
    ready += sequence.length;
  }
  std::string out = held_.substr(0, ready);
  held_.erase(0, ready);
  return out;
}

std::string StreamDecoder::finish() {
  return std::exchange(held_, {});
}

}  // namespace fabula::text
