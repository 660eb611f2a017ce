#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.hpp"

namespace fabula::infer {

/// A text that grows token by token and ends before the first of some stop texts. What could be the beginning of one is
/// held back until it is known not to be.
class TextOutput {
 public:
  /// `before` are the tokens that it follows. Throws kInvalidArgument for an empty stop text. The tokenizer must
  /// outlive it.
  TextOutput(const text::Tokenizer& tokenizer, std::span<const std::uint32_t> before, std::vector<std::string> stops);

  /// What can be shown since.
  std::string push(std::uint32_t id);
  /// The text is over: what was held back.
  std::string finish();
  bool stopped() const { return stopped_; }          ///< by a stop text
  const std::string& text() const { return text_; }  ///< all that could be shown

 private:
  std::string take(std::string_view more, bool last);

  text::StreamDecoder decoder_;
  std::vector<std::string> stops_;
  std::string held_, text_;
  bool stopped_ = false;
};

}  // namespace fabula::infer
