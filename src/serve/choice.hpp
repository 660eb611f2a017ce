#pragma once
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "infer/engine.hpp"
#include "text/tokenizer.hpp"

namespace fabula::serve {

/// A token as log-probabilities tell it.
struct ToldToken {
  std::uint32_t id = 0;
  std::optional<float> log_prob = {};  ///< none: the first of a text
  std::vector<std::pair<std::uint32_t, float>> top = {};
  std::size_t offset = 0;  ///< characters of the choice's text before it
};

/// What can be told of a choice since.
struct ChoicePiece {
  std::string text = {};  ///< valid UTF-8
  std::vector<ToldToken> tokens = {};
  std::optional<infer::Finish> finish = {};
};

/// A choice while it is written: the engine's events become text, and tokens that are told with the text they are in.
/// Tokens of a stop text are not told, the token that ends a text is.
class Choice {
 public:
  struct Options {
    std::string echo = {};                     ///< what its text begins with
    std::vector<std::uint32_t> prompt = {};    ///< ids of the prompt
    std::size_t before_text = 0;               ///< how many of them stand before its text: a start token
    std::vector<std::uint32_t> stop_ids = {};  ///< as the engine has them
    bool echoes = false;
    bool tokens = false;  ///< tokens are told too
  };
  Choice(const text::Tokenizer& tokenizer, Options options);

  ChoicePiece add(const infer::TextEvent& event);
  std::int64_t written() const { return written_; }  ///< tokens

 private:
  void tell_prompt(const infer::TextEvent& event);
  void tell(ToldToken token);
  void show(ChoicePiece& piece, std::string_view bytes);
  void release(ChoicePiece& piece, bool all);

  Options options_;
  text::StreamDecoder decoder_;
  bool begun_ = false;
  std::deque<ToldToken> held_ = {};   // tokens whose text is not shown yet
  std::size_t told_ = 0, shown_ = 0;  // characters: of all tokens, of the text
  std::int64_t written_ = 0;
};

/// Bytes as text: what is not UTF-8 becomes U+FFFD.
std::string valid_text(std::string_view bytes);
/// Characters (code points) of valid UTF-8.
std::size_t characters(std::string_view text);

}  // namespace fabula::serve
