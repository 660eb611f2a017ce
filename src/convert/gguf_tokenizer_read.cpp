#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "convert/gguf_tokenizer.hpp"
#include "text/ranked_merges.hpp"
#include "text/space_blocks.hpp"
#include "text/utf8.hpp"
#include "text/vocabulary_reader.hpp"

namespace fabula::convert {
namespace {

constexpr std::size_t kMostTokenBytes = 1024;  // finding how pieces are cut takes the square of their length

using text::MergeTable;
using text::TokenizerParts;
using Type = GgufTokenType;

class VocabularyReader {
 public:
  explicit VocabularyReader(const GgufFile& file) : file_(file), source_(file.path().string()) {}

  GgufVocabulary read() {
    const std::string_view model = needed_text("tokenizer.ggml.model");
    const bool pieces = model == "llama";
    if (!pieces && model != "gpt2")
      fail(ErrorCode::kUnsupported,
           "{}: the tokenizer is of kind {}; gpt2 (byte-level BPE) and llama (SentencePiece's "
           "BPE) are read",
           source_, text::quote(model));
    read_lists();
    if (pieces)
      read_pieces();
    else
      read_byte_level();
    while (!parts_.tokens.empty() && parts_.tokens.back().empty()) parts_.tokens.pop_back();
    GgufTokens tokens = special_tokens(pieces);
    text::Tokenizer tokenizer = text::make_tokenizer(std::move(parts_), source_);
    if (!tokens.stops.empty() && tokenizer.can_end_documents(tokens.stops[0]))
      tokenizer.set_end_token(tokenizer.token_bytes(tokens.stops[0]));
    return {std::move(tokenizer), std::move(tokens)};
  }

 private:
  std::string_view needed_text(const char* key) const {
    const auto value = file_.text(key);
    if (!value) fail(ErrorCode::kFormat, "{}: key \"{}\" is missing, so that it has no tokenizer", source_, key);
    return *value;
  }

  void read_lists() {
    const auto texts = file_.texts("tokenizer.ggml.tokens");
    if (!texts || texts->empty() || texts->size() > text::kMaxVocabulary)
      fail(ErrorCode::kFormat, "{}: tokenizer.ggml.tokens has {} tokens, expected 1 to {}", source_,
           texts ? texts->size() : 0, text::kMaxVocabulary);
    texts_ = *texts;
    types_ = file_.integers("tokenizer.ggml.token_type")
                 .value_or(std::vector<std::int64_t>(texts_.size(), static_cast<std::int64_t>(Type::kNormal)));
    if (types_.size() != texts_.size())
      fail(ErrorCode::kFormat, "{}: {} tokens have {} types", source_, texts_.size(), types_.size());
    for (std::size_t id = 0; id < texts_.size(); ++id)
      if (texts_[id].size() > kMostTokenBytes)
        fail(ErrorCode::kFormat, "{}: token {} has {} bytes, at most {} are read", source_, id, texts_[id].size(),
             kMostTokenBytes);
    parts_.tokens.resize(texts_.size());
  }

  bool is(std::size_t id, Type type) const { return types_[id] == static_cast<std::int64_t>(type); }
  bool is_added(std::size_t id) const {
    return is(id, Type::kControl) || is(id, Type::kUserDefined) || is(id, Type::kUnknown);
  }

  void add_token(std::size_t id) {
    if (texts_[id].empty()) return;
    parts_.tokens[id] = texts_[id];
    parts_.added.push_back({static_cast<std::uint32_t>(id), parts_.tokens[id], !is(id, Type::kUserDefined)});
  }

  void read_byte_level() {
    settle_pre_tokenizer(file_.text("tokenizer.ggml.pre").value_or(kGgufDefaultPre));
    for (std::size_t id = 0; id < texts_.size(); ++id) {
      if (is_added(id))
        add_token(id);
      else if (!is(id, Type::kUnused) && !texts_[id].empty())
        parts_.tokens[id] = text::token_from_alphabet(texts_[id], source_);
    }
    const auto merges = file_.texts("tokenizer.ggml.merges");
    if (!merges) fail(ErrorCode::kFormat, "{}: key \"tokenizer.ggml.merges\" is missing", source_);
    text::MergeReader reader(parts_.tokens, source_);
    for (std::size_t i = 0; i < merges->size(); ++i) reader.add_printable((*merges)[i], i);
    parts_.merges = reader.take();
  }

  void settle_pre_tokenizer(std::string_view name) {
    const auto& known = gguf_pre_tokenizers();
    const auto found = std::find_if(known.begin(), known.end(), [&](const auto& entry) { return entry.name == name; });
    if (found == known.end()) {
      std::string names;
      for (const GgufPreTokenizer& entry : known) names += fmt::format("{}{}", names.empty() ? "" : ", ", entry.name);
      fail(ErrorCode::kUnsupported, "{}: the pre-tokenizer {} is not read; these are: {}", source_, text::quote(name),
           names);
    }
    parts_.patterns = found->patterns;
    parts_.whole_pieces = found->whole_pieces;
  }

  void read_pieces() {
    text::ByteFallback& fallback = parts_.fallback.emplace();
    fallback.blocks_are_spaces = true;
    fallback.byte_ids.fill(UINT32_MAX);
    parts_.prefix = file_.flag("tokenizer.ggml.add_space_prefix").value_or(true) ? text::PrefixSpace::kAlways
                                                                                 : text::PrefixSpace::kNever;
    fallback.drops_prefix = parts_.prefix == text::PrefixSpace::kAlways;
    const auto scores = file_.numbers("tokenizer.ggml.scores");
    if (!scores || scores->size() != texts_.size())
      fail(ErrorCode::kFormat, "{}: tokenizer.ggml.scores has {} numbers for {} tokens", source_,
           scores ? scores->size() : 0, texts_.size());
    if (!std::all_of(scores->begin(), scores->end(), [](float score) { return std::isfinite(score); }))
      fail(ErrorCode::kFormat, "{}: a score in tokenizer.ggml.scores is not finite", source_);
    std::vector<std::uint32_t> ranks = text::ranks_of_scores(*scores);
    for (std::size_t id = 0; id < texts_.size(); ++id) {
      const auto byte = is(id, Type::kByte) ? text::byte_of_token_name(texts_[id]) : std::nullopt;
      if (byte) {
        parts_.tokens[id] = std::string(1, static_cast<char>(*byte));
        fallback.byte_ids[*byte] = static_cast<std::uint32_t>(id);
      } else if (is_added(id)) {
        add_token(id);
      } else if (!is(id, Type::kUnused)) {
        parts_.tokens[id] = text::blocks_to_spaces(texts_[id]);
        continue;
      }
      ranks[id] = MergeTable::kNoRank;
    }
    parts_.merges = text::merges_of_ranks(parts_.tokens, ranks);
    text::make_ranks_dense(parts_.merges);
  }

  /// Where llama.cpp has a default it is the kind's own; that of byte-level BPE is a token of no meaning, and left out.
  std::optional<std::uint32_t> special_id(const char* what, std::optional<std::uint32_t> otherwise) const {
    const auto id = file_.integer(fmt::format("tokenizer.ggml.{}_token_id", what));
    const std::optional<std::uint32_t> value =
        id && *id >= 0 && *id < std::int64_t{UINT32_MAX} ? std::optional(static_cast<std::uint32_t>(*id)) : otherwise;
    return value && *value < texts_.size() ? value : std::nullopt;
  }

  GgufTokens special_tokens(bool pieces) {
    GgufTokens tokens{.vocabulary = static_cast<std::int64_t>(texts_.size()), .start = {}, .stops = {}};
    tokens.start = special_id("bos", pieces ? std::optional(1u) : std::nullopt);
    for (const char* const what : {"eos", "eot"}) {
      const bool has_default = pieces && std::string_view(what) == "eos";
      const auto id = special_id(what, has_default ? std::optional(2u) : std::nullopt);
      if (id && (tokens.stops.empty() || tokens.stops[0] != *id)) tokens.stops.push_back(*id);
    }
    if (pieces && file_.flag("tokenizer.ggml.add_bos_token").value_or(true)) parts_.fallback->begin = tokens.start;
    return tokens;
  }

  const GgufFile& file_;
  std::string source_;
  std::vector<std::string_view> texts_;
  std::vector<std::int64_t> types_;
  TokenizerParts parts_;
};

}  // namespace

GgufVocabulary read_tokenizer_keys(const GgufFile& file) {
  return VocabularyReader(file).read();
}

}  // namespace fabula::convert
