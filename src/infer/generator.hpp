#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "infer/text_batch.hpp"
#include "text/tokenizer.hpp"

namespace fabula::infer {

/// What batches of texts took.
struct GenerateTimes {
  double first_token = 0;  ///< seconds until every prompt so far had its first token, added up over prompts
  double decode = 0;       ///< seconds of the steps behind them
  std::int64_t prompt_tokens = 0, decoded = 0;
};

/// Texts from prompts.
class Generator {
 public:
  /// All must outlive it. `start_id` stands before a prompt.
  Generator(Session& session, const text::Tokenizer& tokenizer, std::int64_t vocabulary,
            std::optional<std::uint32_t> start_id);

  /// Continues a prompt, which is taken as the start of a document (it follows the start token, as in training). Throws
  /// kInvalidArgument for a prompt longer than the context, naming both lengths, and for an empty stop text.
  Generated generate(std::string_view prompt, const GenerateOptions& options, const OnPiece& on_piece = {});

  /// The same of many prompts, as many at a time as the session has slots. Prompt n draws with the seed of `options`
  /// plus n. `on_end` gets each text as it ends.
  using OnEnd = std::function<void(std::size_t sequence, const Generated&)>;
  std::vector<Generated> generate(std::span<const std::string> prompts, const GenerateOptions& options,
                                  const OnPiece& on_piece = {}, const OnEnd& on_end = {});

  /// The prompt's tokens. Throws kInvalidArgument for more of them than the context holds, naming both lengths.
  std::vector<std::uint32_t> encode_prompt(std::string_view prompt) const;

  const GenerateTimes& times() const { return times_; }  ///< of all texts so far

 private:
  Session& session_;
  const text::Tokenizer& tokenizer_;
  std::int64_t vocabulary_;
  std::optional<std::uint32_t> start_id_;
  GenerateTimes times_;
};

}  // namespace fabula::infer
