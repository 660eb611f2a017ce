#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "infer/session.hpp"
#include "text/tokenizer.hpp"

namespace fabula::infer {

struct GenerateOptions {
  SamplerOptions sampler = {};
  std::int64_t max_tokens = 200;
  std::vector<std::uint32_t> stop_ids = {};  ///< the text ends at any of these
  std::vector<std::string> stop_texts = {};  ///< the text ends before any of these, wherever tokens are cut
  bool slide = false;                   ///< a text that outgrows the context goes on with its later half
  std::int64_t top = 0;                 ///< of each token, how many of the likeliest are told
};

/// Why a text ended.
enum class Finish : std::uint8_t {
  kStop,       ///< a stop token or a stop text
  kLength,     ///< as long as was asked for, or the context is full
  kCancelled,  ///< whom it was told to said so
};
std::string_view finish_name(Finish finish);  ///< "stop", "length", "cancelled"

struct GeneratedToken {
  std::uint32_t id;
  float log_prob;  ///< the model's own
  std::vector<std::pair<std::uint32_t, float>> top;
};

struct Generated {
  std::string text;                    ///< without the prompt
  std::vector<GeneratedToken> tokens;  ///< a stop token is the last one, and no part of the text
  Finish finish = Finish::kLength;
  std::int64_t prompt_tokens = 0;
};

/// What is told while texts come: a token, and what of the text can be shown since: whole characters that cannot be the
/// beginning of a stop text. Behind the last token comes what was held back, without one. Returning false ends the
/// text.
struct GeneratedPiece {
  std::size_t sequence;  ///< number of its prompt
  const GeneratedToken* token;
  std::string_view text;
};
using OnPiece = std::function<bool(const GeneratedPiece&)>;

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
