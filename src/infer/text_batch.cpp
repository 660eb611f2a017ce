#include "infer/text_batch.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace fabula::infer {
namespace {
constexpr std::int64_t kMostSteps = 16;
constexpr double kMostSeconds = 0.04;  // of a submission
}  // namespace

std::string_view finish_name(Finish finish) {
  switch (finish) {
    case Finish::kStop:
      return "stop";
    case Finish::kLength:
      return "length";
    case Finish::kCancelled:
      return "cancelled";
    case Finish::kNumeric:
      return "numeric";
  }
  fail(ErrorCode::kInternal, "there is no end {}", static_cast<int>(finish));
}

std::int64_t Pace::next(bool began) {
  const std::int64_t in_time =
      step_seconds_ > 0 ? static_cast<std::int64_t>(std::min(kMostSeconds / step_seconds_, 1e6)) : kMostSteps;
  steps_ = began ? 1 : std::clamp<std::int64_t>(2 * steps_, 1, std::clamp<std::int64_t>(in_time, 1, kMostSteps));
  return steps_;
}

void Pace::took(double seconds, std::int64_t steps) {
  step_seconds_ = seconds / static_cast<double>(steps);
}

TextBatch::TextBatch(Session& session, const text::Tokenizer& tokenizer, OnPiece on_piece)
    : session_(session), tokenizer_(tokenizer), on_piece_(std::move(on_piece)), slots_(session.slots()) {}

SequenceOptions TextBatch::sequence_options(const Writing& writing) {
  const GenerateOptions& options = writing.options;
  SequenceOptions sequence{.sampler = options.sampler,
                           .max_tokens = options.max_tokens - static_cast<std::int64_t>(writing.result.tokens.size()),
                           .stop_ids = options.stop_ids,
                           .top = options.top};
  // Draws are numbered by positions, which begin again when a text slides.
  sequence.sampler.seed ^= static_cast<std::uint64_t>(writing.slides) << 40;
  return sequence;
}

std::size_t TextBatch::room() const {
  return static_cast<std::size_t>(std::count(slots_.begin(), slots_.end(), std::nullopt));
}

std::size_t TextBatch::free_slot() const {
  const auto free = std::find(slots_.begin(), slots_.end(), std::nullopt);
  ensure(free != slots_.end(), "all {} slots have a text", slots_.size());
  return static_cast<std::size_t>(free - slots_.begin());
}

void TextBatch::begin(std::vector<Beginning> texts) {
  std::vector<std::size_t> taken;
  std::vector<SequenceStart> together;
  try {
    for (Beginning& text : texts) {
      TextOutput output(tokenizer_, text.prompt, text.options.stop_texts);
      const std::size_t slot = taken.emplace_back(free_slot());
      Writing& writing = slots_[slot].emplace(Writing{.sequence = text.sequence,
                                                      .options = std::move(text.options),
                                                      .ids = std::move(text.prompt),
                                                      .output = std::move(output)});
      writing.result.prompt_tokens = static_cast<std::int64_t>(writing.ids.size());
      const SequenceOptions options = sequence_options(writing);
      if (!text.visit)
        together.push_back({.slot = slot, .prompt = writing.ids, .options = options, .wanted = std::move(text.wanted)});
      session_.check(writing.ids, options);
    }
    for (std::size_t i = 0; i < texts.size(); ++i)
      if (texts[i].visit)
        session_.start(taken[i], slots_[taken[i]]->ids, sequence_options(*slots_[taken[i]]), texts[i].visit);
    session_.start(together);
  } catch (...) {
    for (const std::size_t slot : taken) session_.stop(slot), slots_[slot].reset();
    throw;
  }
  for (const std::size_t slot : taken)
    if (!session_.is_active(slot)) slots_[slot].reset();
}

std::int64_t TextBatch::shortest_left() const {
  std::int64_t left = INT64_MAX;
  for (const std::optional<Writing>& writing : slots_) {
    if (!writing) continue;
    const auto drawn = static_cast<std::int64_t>(writing->result.tokens.size());
    const auto room = session_.context() - static_cast<std::int64_t>(writing->ids.size());
    left = std::min({left, writing->options.max_tokens - drawn, room});
  }
  return std::max<std::int64_t>(left, 1);
}

std::vector<TextBatch::Over> TextBatch::advance(std::int64_t tokens) {
  const std::vector<SessionToken> drawn = session_.advance(tokens);
  drawn_ += static_cast<std::int64_t>(drawn.size());
  for (const SessionToken& token : drawn) add(token);
  std::vector<Over> over;
  for (std::optional<Writing>& writing : slots_)
    if (writing && writing->over) over.push_back({writing->sequence, std::move(writing->result)}), writing.reset();
  return over;
}

void TextBatch::cancel(std::size_t sequence) {
  for (std::size_t slot = 0; slot < slots_.size(); ++slot)
    if (slots_[slot] && slots_[slot]->sequence == sequence) session_.stop(slot), slots_[slot].reset();
}

void TextBatch::add(const SessionToken& token) {
  if (!slots_[token.slot] || slots_[token.slot]->over) return;  // drawn in the same submission
  Writing& writing = *slots_[token.slot];
  if (token.end == EndReason::kNumeric) return finish(token.slot, Finish::kNumeric);
  writing.ids.push_back(token.id);
  writing.result.tokens.push_back({token.id, token.log_prob, token.top});
  const bool stop_token = token.end == EndReason::kStopToken;
  const std::string shown = stop_token ? std::string() : writing.output.push(token.id);
  const bool wanted = tell(writing, &writing.result.tokens.back(), shown);
  if (stop_token || writing.output.stopped()) return finish(token.slot, Finish::kStop);
  if (!wanted) return finish(token.slot, Finish::kCancelled);
  if (token.end != EndReason::kLength) return;
  const bool wants_more = static_cast<std::int64_t>(writing.result.tokens.size()) < writing.options.max_tokens;
  if (writing.options.slide && wants_more)
    slide(token.slot);
  else
    finish(token.slot, Finish::kLength);
}

bool TextBatch::tell(const Writing& writing, const GeneratedToken* token, std::string_view text) const {
  return !on_piece_ || on_piece_({writing.sequence, token, text});
}

void TextBatch::slide(std::size_t slot) {
  Writing& writing = *slots_[slot];
  const auto kept = std::max<std::ptrdiff_t>(session_.context() / 2, 1);
  writing.ids.erase(writing.ids.begin(), writing.ids.end() - kept);
  ++writing.slides;
  session_.start(slot, writing.ids, sequence_options(writing));
}

void TextBatch::finish(std::size_t slot, Finish why) {
  session_.stop(slot);
  Writing& writing = *slots_[slot];
  const std::string shown = writing.output.finish();
  if (!shown.empty() && why != Finish::kCancelled) tell(writing, nullptr, shown);
  writing.result.text = writing.output.text();
  writing.result.finish = why;
  writing.over = true;
}

}  // namespace fabula::infer
