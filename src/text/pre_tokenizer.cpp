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

/// A pattern in a message, as it stands in the file but for what is not printable ASCII.
std::string shown(std::string_view pattern) {
  constexpr size_t kMaxShown = 200;
  std::string out;
  for (const char c : pattern.substr(0, kMaxShown)) {
    if (c >= ' ' && c < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return pattern.size() > kMaxShown ? fmt::format("{}... ({} bytes)", out, pattern.size()) : out;
}

/// Where the literal text that the \Q at `begin` starts is over, its \E included.
size_t end_of_literal(std::string_view pattern, size_t begin) {
  const size_t end = pattern.find("\\E", begin + 2);
  return end == std::string_view::npos ? pattern.size() : end + 2;
}

/// \K moves the start of a match, in a group that a lookahead calls even behind its end: pieces would be empty or go
/// back. No pattern in use has it, nor does it mean anything where a text is cut.
void refuse_moved_starts(std::string_view pattern) {
  for (size_t i = 0; i + 1 < pattern.size(); ++i) {
    if (pattern[i] != '\\') continue;
    if (pattern[i + 1] == 'Q') {
      i = end_of_literal(pattern, i) - 1;
    } else if (pattern[++i] == 'K') {
      fail(ErrorCode::kUnsupported,
           "the pre-tokenizer's pattern {} has \\K at byte {}: a match may then end where it begins, or before; write "
           "the pattern without it",
           shown(pattern), i - 1);
    }
  }
}

/// PCRE2's \s counts U+180E, which Unicode took out of White_Space in 6.3 and the other libraries' \s does not have.
std::string with_unicode_white_space(std::string_view pattern) {
  constexpr std::string_view kWhiteSpace = R"(\x{09}-\x{0d}\x{85}\p{Z})";
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (pattern.substr(i).starts_with("\\Q")) {
      const size_t end = end_of_literal(pattern, i);
      out += pattern.substr(i, end - i);
      i = end - 1;
      continue;
    }
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
struct FreeContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
using Code = std::unique_ptr<pcre2_code, FreeCode>;
using MatchData = std::unique_ptr<pcre2_match_data, FreeMatch>;

std::string message_of(int error) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(error, buffer, sizeof(buffer));
  return reinterpret_cast<const char*>(buffer);
}

/// What one match may cost at most: a second or two of steps, and memory for a piece of some 100,000 characters that
/// repeats a group for each.
pcre2_match_context* match_limits() {
  constexpr uint32_t kMaxSteps = 10'000'000, kMaxHeapKiB = 64 * 1024;
  static const std::unique_ptr<pcre2_match_context, FreeContext> limits = [] {
    std::unique_ptr<pcre2_match_context, FreeContext> context(pcre2_match_context_create(nullptr));
    if (!context) fail(ErrorCode::kOutOfMemory, "no memory for the pre-tokenizer's match limits");
    pcre2_set_match_limit(context.get(), kMaxSteps);
    pcre2_set_depth_limit(context.get(), kMaxSteps);
    pcre2_set_heap_limit(context.get(), kMaxHeapKiB);
    return context;
  }();
  return limits.get();
}

Code compile(const std::string& pattern, uint32_t extra_options) {
  constexpr size_t kMaxPatternSize = 64 * 1024;
  if (pattern.size() > kMaxPatternSize) {
    fail(ErrorCode::kFormat, "the pre-tokenizer's pattern has {} bytes, at most {} are taken", pattern.size(),
         kMaxPatternSize);
  }
  refuse_moved_starts(pattern);
  const std::string translated = with_unicode_white_space(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | extra_options,
                          &error, &offset, nullptr));
  if (!code) {
    fail(ErrorCode::kFormat, "the pre-tokenizer's pattern {} does not compile: {} near its byte {}", shown(pattern),
         message_of(error), offset);
  }
  return code;
}

/// Why a pattern has no machine code; empty when it has.
std::string translate(pcre2_code* code) {
  if (const int error = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); error != 0) return message_of(error);
  size_t size = 0;
  pcre2_pattern_info(code, PCRE2_INFO_JITSIZE, &size);
  return size > 0 ? "" : "it forbids that";  // (*NO_JIT)
}

/// Whether PCRE2 translates at all here: it may be built without, or the system may let no code be made.
bool can_translate() {
  static const bool can = translate(compile("a", PCRE2_MATCH_INVALID_UTF).get()).empty();
  return can;
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
  Splitter(const std::vector<Stage>& stages, const std::vector<std::string>& patterns, const PieceSink& sink)
      : stages_(stages), patterns_(patterns), sink_(sink), limits_(match_limits()) {
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
      result = pcre2_jit_match(stage.compiled.get(), subject, text.size(), position, PCRE2_NOTEMPTY, match, limits_);
      if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
        result = pcre2_match(stage.compiled.get(), subject, text.size(), position, PCRE2_NOTEMPTY | PCRE2_NO_JIT, match,
                             limits_);
      }
    } else {
      result = pcre2_match(stage.interpreted.get(), subject, text.size(), position, PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK,
                           match, limits_);
    }
    if (result == PCRE2_ERROR_NOMATCH) return nullptr;
    if (result < 0) {
      fail(ErrorCode::kUnsupported, "the pre-tokenizer's pattern {} ({}) failed at byte {} of {}: {}", level,
           shown(patterns_[level]), position, text.size(), message_of(result));
    }
    const PCRE2_SIZE* const range = pcre2_get_ovector_pointer(match);
    if (range[0] < position || range[1] <= range[0]) {
      fail(ErrorCode::kUnsupported, "the pre-tokenizer's pattern {} ({}) matches bytes {} to {} from byte {} on", level,
           shown(patterns_[level]), range[0], range[1], position);
    }
    return range;
  }

  const std::vector<Stage>& stages_;
  const std::vector<std::string>& patterns_;
  const PieceSink& sink_;
  pcre2_match_context* limits_;
  std::vector<MatchData> matches_;
};

PreTokenizer::PreTokenizer(std::vector<std::string> patterns, Engine engine) : patterns_(std::move(patterns)) {
  for (const std::string& pattern : patterns_) {
    Stage stage;
    if (engine == Engine::kFastest) {
      stage.compiled = compile(pattern, PCRE2_MATCH_INVALID_UTF);
      if (const std::string why = translate(stage.compiled.get()); !why.empty()) {
        if (can_translate()) {
          fail(ErrorCode::kUnsupported, "the pre-tokenizer's pattern {} cannot be translated to machine code: {}",
               shown(pattern), why);
        }
        stage.compiled.reset();
      }
    }
    if (!stage.compiled) stage.interpreted = compile(pattern, 0);
    stages_.push_back(std::move(stage));
  }
}

PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;

void PreTokenizer::split(std::string_view text, const PieceSink& sink) const {
  Splitter(stages_, patterns_, sink).split(text, 0);
}

}  // namespace fabula::text
