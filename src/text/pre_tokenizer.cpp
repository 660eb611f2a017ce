#include "text/pre_tokenizer.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <optional>

#include "base/fail.hpp"
#include "text/utf8.hpp"

namespace fabula::text {
namespace {

// https://github.com/openai/gpt-2 encoder.py and the tiktoken registry name these patterns.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kCl100kPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200kPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// PCRE2's \s counts U+180E, which Unicode took out of White_Space in 6.3 and the other libraries' \s does not have.
std::string with_unicode_white_space(std::string_view pattern) {
  constexpr std::string_view kWhiteSpace = R"(\x{09}-\x{0d}\x{85}\p{Z})";
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      if (escaped == 's') {
        out += in_class ? std::string(kWhiteSpace) : fmt::format("[{}]", kWhiteSpace);
      } else if (escaped == 'S' && !in_class) {
        out += fmt::format("[^{}]", kWhiteSpace);
      } else {
        out += c;
        out += escaped;
      }
      continue;
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    out += c;
  }
  return out;
}

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};
using Code = std::unique_ptr<pcre2_code, FreeCode>;
using MatchData = std::unique_ptr<pcre2_match_data, FreeMatch>;

std::string message_of(int error) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(error, buffer, sizeof(buffer));
  return reinterpret_cast<const char*>(buffer);
}

Code compile(const std::string& pattern, uint32_t extra_options) {
  constexpr size_t kMaxPatternSize = 64 * 1024;
  if (pattern.size() > kMaxPatternSize) {
    fail(ErrorCode::kFormat, "the pre-tokenizer's pattern has {} bytes, at most {} are taken", pattern.size(),
         kMaxPatternSize);
  }
  const std::string translated = with_unicode_white_space(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | extra_options,
                          &error, &offset, nullptr));
  if (!code) {
    fail(ErrorCode::kFormat, "the pre-tokenizer's pattern {} does not compile: {} near its byte {}",
         quote(pattern, 200), message_of(error), offset);
  }
  return code;
}

}  // namespace

std::string_view named_pattern(std::string_view name) {
  if (name == "gpt2" || name == "r50k_base") return kGpt2Pattern;
  if (name == "cl100k_base") return kCl100kPattern;
  if (name == "o200k_base") return kO200kPattern;
  fail(ErrorCode::kInvalidArgument,
       "no pre-tokenizer is named \"{}\"; known are gpt2, r50k_base, cl100k_base, o200k_base", name);
}

struct PreTokenizer::Stage {
  Code compiled;     ///< with JIT: matches around invalid UTF-8 by itself
  Code interpreted;  ///< without: the caller hands it valid stretches only, because a check at every match costs O(n^2)
};

class PreTokenizer::Splitter {
 public:
  Splitter(const std::vector<Stage>& stages, const PieceSink& sink) : stages_(stages), sink_(sink) {
    for (const Stage& stage : stages) {
      matches_.emplace_back(pcre2_match_data_create_from_pattern(
          stage.compiled ? stage.compiled.get() : stage.interpreted.get(), nullptr));
      if (!matches_.back()) fail(ErrorCode::kOutOfMemory, "no memory for the pre-tokenizer's match data");
    }
  }

  void split(std::string_view text, size_t level) const {
    if (text.empty()) return;
    if (level == stages_.size()) return sink_(text);
    if (stages_[level].compiled) return split_matches(text, level);
    while (!text.empty()) {  // valid stretches to the interpreter, invalid bytes one by one
      const size_t valid = valid_utf8_length(text);
      if (valid > 0) split_matches(text.substr(0, valid), level);
      if (valid < text.size()) sink_(text.substr(valid, 1));
      text.remove_prefix(std::min(text.size(), valid + 1));
    }
  }

 private:
  void split_matches(std::string_view text, size_t level) const {
    size_t position = 0;
    while (position < text.size()) {
      const PCRE2_SIZE* const range = find(text, position, level);
      const size_t begin = range != nullptr ? range[0] : text.size();
      if (begin > position) split_unmatched(text.substr(position, begin - position), level + 1);
      if (range == nullptr) return;
      split(text.substr(begin, range[1] - begin), level + 1);
      position = range[1];
    }
  }

  void split_unmatched(std::string_view text, size_t next_level) const {
    while (!text.empty()) {
      const size_t valid = valid_utf8_length(text);
      if (valid > 0) split(text.substr(0, valid), next_level);
      if (valid < text.size()) sink_(text.substr(valid, 1));
      text.remove_prefix(std::min(text.size(), valid + 1));
    }
  }

  /// The range [begin, end) of the next match that is not empty, or null.
  const PCRE2_SIZE* find(std::string_view text, size_t position, size_t level) const {
    const Stage& stage = stages_[level];
    pcre2_match_data* const match = matches_[level].get();
    const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int result = PCRE2_ERROR_JIT_STACKLIMIT;
    if (stage.compiled) {
      result = pcre2_jit_match(stage.compiled.get(), subject, text.size(), position, PCRE2_NOTEMPTY, match, nullptr);
      if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
        result = pcre2_match(stage.compiled.get(), subject, text.size(), position, PCRE2_NOTEMPTY | PCRE2_NO_JIT, match,
                             nullptr);
      }
    } else {
      result = pcre2_match(stage.interpreted.get(), subject, text.size(), position, PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK,
                           match, nullptr);
    }
    if (result == PCRE2_ERROR_NOMATCH) return nullptr;
    if (result < 0) {
      fail(ErrorCode::kUnsupported, "the pre-tokenizer's pattern {} failed at byte {} of {}: {}", level, position,
           text.size(), message_of(result));
    }
    return pcre2_get_ovector_pointer(match);
  }

  const std::vector<Stage>& stages_;
  const PieceSink& sink_;
  std::vector<MatchData> matches_;
};

PreTokenizer::PreTokenizer(std::vector<std::string> patterns, Engine engine) : patterns_(std::move(patterns)) {
  for (const std::string& pattern : patterns_) {
    Stage stage;
    if (engine == Engine::kFastest) {
      stage.compiled = compile(pattern, PCRE2_MATCH_INVALID_UTF);
      if (pcre2_jit_compile(stage.compiled.get(), PCRE2_JIT_COMPLETE) != 0) stage.compiled.reset();
    }
    if (!stage.compiled) stage.interpreted = compile(pattern, 0);
    stages_.push_back(std::move(stage));
  }
}

PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;

void PreTokenizer::split(std::string_view text, const PieceSink& sink) const {
  Splitter(stages_, sink).split(text, 0);
}

}  // namespace fabula::text
