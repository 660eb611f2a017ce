#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "infer/session.hpp"
#include "infer/text_output.hpp"

// Texts on the slots of a session: what generators and engines have in common.
namespace fabula::infer {

struct GenerateOptions {
  SamplerOptions sampler = {};
  std::int64_t max_tokens = 200;
  std::vector<std::uint32_t> stop_ids = {};  ///< the text ends at any of these
  std::vector<std::string> stop_texts = {};  ///< the text ends before any of these, wherever tokens are cut
  bool slide = false;                        ///< a text that outgrows the context goes on with its later half
  std::int64_t top = 0;                      ///< of each token, how many of the likeliest are told
};

/// Why a text ended.
enum class Finish : std::uint8_t {
  kStop,       ///< a stop token or a stop text
  kLength,     ///< as long as was asked for, or the context is full
  kCancelled,  ///< whom it was told to said so
  kNumeric,    ///< the model gave no finite log-probability of any token
};
std::string_view finish_name(Finish finish);  ///< "stop", "length", "cancelled", "numeric"

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

/// Texts that begin, go on and end beside each other, each with its own options.
class TextBatch {
 public:
  /// All must outlive it.
  TextBatch(Session& session, const text::Tokenizer& tokenizer, OnPiece on_piece);

  std::size_t room() const;  ///< texts that can begin
  bool is_idle() const { return session_.active() == 0; }
  std::size_t active() const { return session_.active(); }
  std::int64_t drawn() const { return drawn_; }  ///< tokens so far
  /// Tokens until the first text has all that it may have; none active: INT64_MAX.
  std::int64_t shortest_left() const;

  struct Beginning {
    std::size_t sequence;  ///< what it is called
    std::vector<std::uint32_t> prompt;
    GenerateOptions options = {};
    OnDistribution visit = {};  ///< as Session::start has it
    StillWanted wanted = {};    ///< false: the text is dropped; not asked where `visit` is given
  };
  /// Begins texts, no more than there is room for, their prompts read side by side. Throws kInvalidArgument as
  /// Session::start and TextOutput, before any has begun.
  void begin(std::vector<Beginning> texts);

  struct Over {
    std::size_t sequence;
    Generated text;
  };
  /// Steps of all texts in one submission; the texts that are over.
  std::vector<Over> advance(std::int64_t tokens);

  /// Ends a text where it is; its slot is free from then on.
  void cancel(std::size_t sequence);

 private:
  struct Writing {
    std::size_t sequence;
    GenerateOptions options;
    std::vector<std::uint32_t> ids;  ///< all tokens, the prompt's first
    TextOutput output;
    Generated result = {};
    std::int64_t slides = 0;
    bool over = false;
  };
  static SequenceOptions sequence_options(const Writing& writing);
  std::size_t free_slot() const;
  void add(const SessionToken& token);
  bool tell(const Writing& writing, const GeneratedToken* token, std::string_view text) const;
  void slide(std::size_t slot);
  void finish(std::size_t slot, Finish why);

  Session& session_;
  const text::Tokenizer& tokenizer_;
  OnPiece on_piece_;
  std::vector<std::optional<Writing>> slots_;
  std::int64_t drawn_ = 0;
};

/// How many steps the next submission has: one where a text begins, so that its first token is soon there; then more
/// and more, up to 16, as long as one takes no longer than readers should wait for what it brings.
class Pace {
 public:
  std::int64_t next(bool began);
  void took(double seconds, std::int64_t steps);  ///< a submission

 private:
  std::int64_t steps_ = 1;
  double step_seconds_ = 0;
};

}  // namespace fabula::infer
