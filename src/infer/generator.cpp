#include "infer/generator.hpp"

#include <algorithm>
#include <chrono>
#include <deque>

#include "base/fail.hpp"
#include "infer/model_folder.hpp"
#include "infer/text_output.hpp"

namespace fabula::infer {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// One text on its way.
struct Writing {
  std::size_t sequence;
  TextOutput output;
  std::vector<std::uint32_t> ids;  ///< all tokens, the prompt's first
  Generated result = {};
  std::int64_t slides = 0;
  bool over = false;
};

SequenceOptions sequence_options(const GenerateOptions& options, const Writing& writing) {
  SequenceOptions sequence{.sampler = options.sampler,
                           .max_tokens = options.max_tokens - static_cast<std::int64_t>(writing.result.tokens.size()),
                           .stop_ids = options.stop_ids,
                           .top = options.top};
  sequence.sampler.seed += writing.sequence;
  // Draws are numbered by positions, which begin again when a text slides.
  sequence.sampler.seed ^= static_cast<std::uint64_t>(writing.slides) << 40;
  return sequence;
}

}  // namespace

std::string_view finish_name(Finish finish) {
  switch (finish) {
    case Finish::kStop:
      return "stop";
    case Finish::kLength:
      return "length";
    case Finish::kCancelled:
      return "cancelled";
  }
  fail(ErrorCode::kInternal, "there is no end {}", static_cast<int>(finish));
}

Generator::Generator(Session& session, const text::Tokenizer& tokenizer, std::int64_t vocabulary,
                     std::optional<std::uint32_t> start_id)
    : session_(session), tokenizer_(tokenizer), vocabulary_(vocabulary), start_id_(start_id) {}

std::vector<std::uint32_t> Generator::encode_prompt(std::string_view prompt) const {
  std::vector<std::uint32_t> ids = tokenizer_.encode(prompt, {.added_tokens = true});
  refuse_ids_beyond(vocabulary_, ids, tokenizer_);
  const std::int64_t context = session_.context();
  if (static_cast<std::int64_t>(ids.size()) > context)
    fail(ErrorCode::kInvalidArgument, "the prompt has {} tokens, the model's context holds {}; shorten the prompt",
         ids.size(), context);
  // A prompt is the start of a document, and in training every document follows an end-of-text token: without it the
  // first words come from a context that the model never saw.
  const bool starts_document = start_id_ && static_cast<std::int64_t>(ids.size()) < context;
  if (starts_document && (ids.empty() || ids.front() != *start_id_)) ids.insert(ids.begin(), *start_id_);
  if (ids.empty())
    fail(ErrorCode::kInvalidArgument,
         "the prompt is empty and no token is known to start from; name one with --end-token");
  return ids;
}

Generated Generator::generate(std::string_view prompt, const GenerateOptions& options, const OnPiece& on_piece) {
  const std::string prompts[] = {std::string(prompt)};
  return generate(std::span<const std::string>(prompts), options, on_piece).front();
}

namespace {

/// Texts of many prompts on the slots of one session.
class Batch {
 public:
  Batch(Session& session, const GenerateOptions& options, const OnPiece& on_piece)
      : session_(session), options_(options), on_piece_(on_piece), slots_(session.slots()) {}

  bool has_room() const { return session_.free_slot().has_value(); }
  bool is_idle() const { return session_.active() == 0; }
  std::int64_t drawn() const { return drawn_; }  ///< tokens so far

  void begin(Writing writing) {
    const std::size_t slot = session_.free_slot().value();
    session_.start(slot, writing.ids, sequence_options(options_, writing));
    slots_[slot].emplace(std::move(writing));
  }

  /// Steps of all texts; those that are over.
  std::vector<Writing> advance(std::int64_t tokens) {
    const std::vector<SessionToken> drawn = session_.advance(tokens);
    drawn_ += static_cast<std::int64_t>(drawn.size());
    for (const SessionToken& token : drawn) add(token);
    std::vector<Writing> over;
    for (std::optional<Writing>& writing : slots_)
      if (writing && writing->over) over.push_back(std::move(*writing)), writing.reset();
    return over;
  }

 private:
  void add(const SessionToken& token) {
    Writing& writing = *slots_[token.slot];
    if (writing.over) return;  // drawn in the same submission
    if (token.end == EndReason::kNumeric)
      fail(ErrorCode::kNumeric, "the model gave no finite log-probability of any token at position {}", token.position);
    writing.ids.push_back(token.id);
    writing.result.tokens.push_back({token.id, token.log_prob, token.top});
    const bool stop_token = token.end == EndReason::kStopToken;
    const std::string shown = stop_token ? std::string() : writing.output.push(token.id);
    const bool wanted = tell(writing, &writing.result.tokens.back(), shown);
    if (stop_token || writing.output.stopped()) return finish(token.slot, Finish::kStop);
    if (!wanted) return finish(token.slot, Finish::kCancelled);
    if (token.end != EndReason::kLength) return;
    const bool wants_more = static_cast<std::int64_t>(writing.result.tokens.size()) < options_.max_tokens;
    if (options_.slide && wants_more)
      slide(token.slot);
    else
      finish(token.slot, Finish::kLength);
  }

  bool tell(const Writing& writing, const GeneratedToken* token, std::string_view text) const {
    return !on_piece_ || on_piece_({writing.sequence, token, text});
  }

  void slide(std::size_t slot) {
    Writing& writing = *slots_[slot];
    const auto kept = std::max<std::ptrdiff_t>(session_.context() / 2, 1);
    writing.ids.erase(writing.ids.begin(), writing.ids.end() - kept);
    ++writing.slides;
    session_.start(slot, writing.ids, sequence_options(options_, writing));
  }

  void finish(std::size_t slot, Finish why) {
    session_.stop(slot);
    Writing& writing = *slots_[slot];
    const std::string shown = writing.output.finish();
    if (!shown.empty() && why != Finish::kCancelled) tell(writing, nullptr, shown);
    writing.result.text = writing.output.text();
    writing.result.finish = why;
    writing.over = true;
  }

  Session& session_;
  const GenerateOptions& options_;
  const OnPiece& on_piece_;
  std::vector<std::optional<Writing>> slots_;
  std::int64_t drawn_ = 0;
};

}  // namespace

std::vector<Generated> Generator::generate(std::span<const std::string> prompts, const GenerateOptions& options,
                                           const OnPiece& on_piece, const OnEnd& on_end) {
  validate(options.sampler);
  std::deque<Writing> waiting;
  for (std::size_t n = 0; n < prompts.size(); ++n) {  // what is wrong with any of them is said before the first begins
    std::vector<std::uint32_t> ids = encode_prompt(prompts[n]);
    waiting.push_back({.sequence = n, .output = TextOutput(tokenizer_, ids, options.stop_texts), .ids = ids});
    waiting.back().result.prompt_tokens = static_cast<std::int64_t>(waiting.back().ids.size());
  }
  std::vector<Generated> results(prompts.size());
  Batch batch(session_, options, on_piece);
  std::int64_t at_once = 1;
  while (!waiting.empty() || !batch.is_idle()) {
    const Clock::time_point start = Clock::now();
    bool began = false;
    for (; !waiting.empty() && batch.has_room(); waiting.pop_front()) {
      times_.prompt_tokens += waiting.front().result.prompt_tokens;
      batch.begin(std::move(waiting.front()));
      began = true;
    }
    // One token first, so that it is soon there; then more and more of them in a submission.
    at_once = began ? 1 : std::min<std::int64_t>(2 * at_once, 16);
    const std::int64_t drawn = batch.drawn();
    for (Writing& writing : batch.advance(at_once)) {
      results[writing.sequence] = std::move(writing.result);
      if (on_end) on_end(writing.sequence, results[writing.sequence]);
    }
    (began ? times_.first_token : times_.decode) += seconds_since(start);
    if (!began) times_.decoded += batch.drawn() - drawn;
  }
  return results;
}

}  // namespace fabula::infer
