#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fabula::text {

/// The patterns of well-known vocabularies: "gpt2" (also named r50k_base), "cl100k_base", "o200k_base".
/// Throws kInvalidArgument for another name.
std::string_view named_pattern(std::string_view name);

/// Cuts text into the pieces that byte-pair merges never cross. Patterns are applied one after another, each to the
/// pieces of the one before. What a pattern leaves unmatched is a piece of its own: a stretch of valid UTF-8 whole,
/// invalid bytes one by one. Pieces are never empty and their concatenation is the text. Safe to use from several
/// threads.
class PreTokenizer {
 public:
  /// Whether the regular expressions are translated to machine code, where PCRE2 can; the pieces are the same.
  enum class Engine { kFastest, kInterpreter };

  /// Throws kFormat when a pattern does not compile, naming the place.
  explicit PreTokenizer(std::vector<std::string> patterns, Engine engine = Engine::kFastest);
  ~PreTokenizer();
  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;

  using PieceSink = std::function<void(std::string_view)>;
  /// Hands the pieces to `sink` in order. Throws kUnsupported when a pattern needs more steps than the limit allows.
  void split(std::string_view text, const PieceSink& sink) const;

  const std::vector<std::string>& patterns() const { return patterns_; }

 private:
  struct Stage;
  class Splitter;
  std::vector<std::string> patterns_;
  std::vector<Stage> stages_;
};

}  // namespace fabula::text
