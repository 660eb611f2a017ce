#include <cmath>
#include <cstring>

#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "text/ranked_merges.hpp"
#include "text/tokenizer_files.hpp"
#include "text/utf8.hpp"
#include "text/vocabulary_reader.hpp"

// llama2.c's tokenizer.bin: the length of the longest token (i32), then for each token its score (f32), its length
// (i32) and its bytes; https://github.com/karpathy/llama2.c
namespace fabula::text {
namespace {

constexpr uint32_t kUnknownId = 0, kBeginId = 1, kEndId = 2, kFirstByteId = 3, kFirstPieceId = kFirstByteId + 256;
constexpr size_t kMaxPieceBytes = 1024;
constexpr float kNeverMerged = -1e10f;  // llama2.c looks for a score above this one

class Vocabulary {
 public:
  Vocabulary(std::string_view bytes, std::string_view name) : bytes_(bytes), name_(name) {}

  TokenizerParts read() {
    const auto longest = take<int32_t>("the length of the longest token");
    if (longest < 1 || static_cast<size_t>(longest) > kMaxPieceBytes)
      fail(ErrorCode::kFormat, "{}: the longest token has {} bytes, expected 1 to {}: this is no tokenizer.bin", name_,
           longest, kMaxPieceBytes);
    while (!bytes_.empty()) read_token(static_cast<size_t>(longest));
    if (parts_.tokens.size() <= kFirstPieceId)
      fail(ErrorCode::kFormat, "{}: it has {} tokens; <unk>, <s>, </s>, 256 bytes and at least one more are needed",
           name_, parts_.tokens.size());
    refuse_twins();
    settle_parts();
    return std::move(parts_);
  }

 private:
  template <class T>
  T take(std::string_view what) {
    T value;
    if (bytes_.size() < sizeof(T)) {
      fail(ErrorCode::kFormat, "{}: it ends within {} (token {}): it is cut short, or no tokenizer.bin", name_, what,
           parts_.tokens.size());
    }
    std::memcpy(&value, bytes_.data(), sizeof(T));
    bytes_.remove_prefix(sizeof(T));
    return value;
  }

  void read_token(size_t longest) {
    const size_t id = parts_.tokens.size();
    if (id == kMaxVocabulary) fail(ErrorCode::kFormat, "{}: it has more than {} tokens", name_, kMaxVocabulary);
    const auto score = take<float>("a score");
    if (!std::isfinite(score)) fail(ErrorCode::kFormat, "{}: the score of token {} is {}", name_, id, score);
    const auto length = take<int32_t>("a length");
    // What stands for the beginning and the end of a text is longer than the file says: it has line ends around it.
    const size_t most = id < kFirstPieceId ? kMaxPieceBytes : longest;
    if (length < 0 || static_cast<size_t>(length) > most)
      fail(ErrorCode::kFormat, "{}: token {} has {} bytes, expected 0 to {}", name_, id, length, most);
    if (bytes_.size() < static_cast<size_t>(length))
      fail(ErrorCode::kFormat, "{}: token {} has {} bytes, the file ends after {} of them: it is cut short", name_, id,
           length, bytes_.size());
    add_token(bytes_.substr(0, static_cast<size_t>(length)));
    bytes_.remove_prefix(static_cast<size_t>(length));
    scores_.push_back(score);
  }

  void add_token(std::string_view piece) {
    const auto id = static_cast<uint32_t>(parts_.tokens.size());
    if (id < kFirstByteId) {
      static constexpr std::string_view kNames[] = {"<unk>", "<s>", "</s>"};
      if (piece.starts_with('\n') && piece.ends_with('\n') && piece.size() > 1)
        piece = piece.substr(1, piece.size() - 2);
      if (piece != kNames[id]) refuse_name(piece, kNames[id]);
      parts_.tokens.emplace_back(piece);
    } else if (id < kFirstPieceId) {
      const uint32_t byte = id - kFirstByteId;
      if (const std::string name = byte_token_name(byte); piece != name) refuse_name(piece, name);
      parts_.tokens.emplace_back(1, static_cast<char>(byte));
    } else {
      if (valid_utf8_length(piece) != piece.size())
        fail(ErrorCode::kFormat, "{}: token {} is {}, which is not UTF-8", name_, id, quote(piece));
      parts_.tokens.emplace_back(piece);
    }
  }

  [[noreturn]] void refuse_name(std::string_view found, std::string_view expected) const {
    fail(ErrorCode::kFormat, "{}: token {} is {}, expected {}", name_, parts_.tokens.size(), quote(found),
         quote(expected));
  }

  void refuse_twins() const {
    std::unordered_map<std::string, size_t> seen;
    seen.reserve(parts_.tokens.size());
    for (size_t id = 0; id < parts_.tokens.size(); ++id) {
      if (parts_.tokens[id].empty()) continue;
      const bool is_byte = id >= kFirstByteId && id < kFirstPieceId;
      const auto [first, fresh] = seen.emplace(is_byte ? byte_token_name(id - kFirstByteId) : parts_.tokens[id], id);
      if (!fresh)
        fail(ErrorCode::kFormat, "{}: tokens {} and {} are both {}", name_, first->second, id,
             quote(parts_.tokens[id]));
    }
  }

  void settle_parts() {
    const std::vector<uint32_t> of_pieces = ranks_of_scores(std::span(scores_).subspan(kFirstPieceId));
    std::vector<uint32_t> ranks(kFirstPieceId, MergeTable::kNoRank);
    ranks.insert(ranks.end(), of_pieces.begin(), of_pieces.end());
    parts_.merges = merges_of_ranks(parts_.tokens, ranks);
    std::erase_if(parts_.merges, [&](const Merge& merge) { return scores_[merge.result] <= kNeverMerged; });
    make_ranks_dense(parts_.merges);
    parts_.added = {{kUnknownId, "<unk>"}, {kBeginId, "<s>"}, {kEndId, "</s>"}};
    parts_.fallback.emplace();
    for (uint32_t byte = 0; byte < 256; ++byte) parts_.fallback->byte_ids[byte] = kFirstByteId + byte;
    parts_.fallback->begin = kBeginId;
    parts_.prefix = PrefixSpace::kAlways;
    parts_.end = kBeginId;  // llama2.c puts <s> before every text and stops where it comes again
  }

  std::string_view bytes_, name_;
  TokenizerParts parts_;
  std::vector<float> scores_;
};

}  // namespace

namespace {

void append_entry(std::string& bytes, float score, std::string_view piece) {
  const auto length = static_cast<int32_t>(piece.size());
  bytes.append(reinterpret_cast<const char*>(&score), sizeof(score));
  bytes.append(reinterpret_cast<const char*>(&length), sizeof(length));
  bytes += piece;
}

/// Scores that fall with the ranks of the merges that make each token.
std::vector<float> scores_of(const TokenizerParts& parts) {
  std::vector<float> scores(parts.tokens.size(), kNeverMerged);
  for (const Merge& merge : parts.merges) scores[merge.result] = -static_cast<float>(merge.rank);
  for (uint32_t id = 0; id < kFirstPieceId; ++id) scores[id] = 0;
  return scores;
}

}  // namespace

std::string llama2c_tokenizer(const Tokenizer& tokenizer) {
  const TokenizerParts& parts = tokenizer.parts();
  const auto refuse = [](std::string_view why) {
    fail(ErrorCode::kUnsupported, "llama2.c's tokenizer.bin cannot hold this tokenizer: {}", why);
  };
  if (!parts.fallback) refuse("it is byte-level BPE, and the file has pieces with scores, as SentencePiece makes them");
  const uint32_t size = tokenizer.vocab_size();
  if (size <= kFirstPieceId) refuse("it has no tokens beside the bytes");
  const std::vector<float> scores = scores_of(parts);
  std::string entries;
  size_t longest = 1;
  for (uint32_t id = 0; id < size; ++id) {
    const std::string& token = parts.tokens[id];
    const bool is_byte = id >= kFirstByteId && id < kFirstPieceId;
    append_entry(entries, scores[id], is_byte ? byte_token_name(id - kFirstByteId) : token);
    longest = std::max(longest, token.size());
  }
  if (longest > kMaxPieceBytes) refuse(fmt::format("a token has {} bytes, at most {} go in", longest, kMaxPieceBytes));
  const auto header = static_cast<int32_t>(longest);
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes += entries;
  try {
    if (parse_llama2c(bytes, "tokenizer.bin").fingerprint() == tokenizer.fingerprint()) return bytes;
  } catch (const Error& error) {
    refuse(error.what());
  }
  refuse("its merges do not follow from one score a token, or it does more than llama2.c with spaces and added tokens");
  return {};
}

Tokenizer import_llama2c(const std::filesystem::path& path) {
  const MappedFile file(path);
  return file.checked([&] { return parse_llama2c(file.text(), path.string()); });
}

Tokenizer parse_llama2c(std::string_view bytes, std::string_view name) {
  return make_tokenizer(Vocabulary(bytes, name).read(), name);
}

}  // namespace fabula::text
