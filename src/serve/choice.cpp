#include "serve/choice.hpp"

#include <algorithm>

#include "text/utf8.hpp"

namespace fabula::serve {

std::string valid_text(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const text::Utf8Sequence sequence = text::first_utf8_sequence(bytes);
    if (sequence.kind == text::Utf8Sequence::Kind::kValid)
      text += bytes.substr(0, sequence.length);
    else
      text += "\xEF\xBF\xBD";
    bytes.remove_prefix(sequence.length);
  }
  return text;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

Choice::Choice(const text::Tokenizer& tokenizer, Options options)
    : options_(std::move(options)),
      decoder_(tokenizer, options_.echoes ? std::span(options_.prompt).first(options_.before_text)
                                          : std::span<const std::uint32_t>(options_.prompt)) {}

ChoicePiece Choice::add(const infer::TextEvent& event) {
  ChoicePiece piece;
  if (!begun_) {
    begun_ = true;
    if (options_.echoes) {
      show(piece, options_.echo);
      if (options_.tokens) tell_prompt(event);
    }
  }
  bool ends_by_token = false;
  if (event.token) {
    ++written_;
    if (options_.tokens) tell({.id = event.token->id, .log_prob = event.token->log_prob, .top = event.token->top});
  }
  show(piece, event.shown);
  if (event.finish) {
    piece.finish = event.finish;
    const auto& stops = options_.stop_ids;
    ends_by_token = !held_.empty() && std::find(stops.begin(), stops.end(), held_.back().id) != stops.end();
  }
  release(piece, event.finish && (*event.finish != infer::Finish::kStop || ends_by_token));
  return piece;
}

void Choice::tell_prompt(const infer::TextEvent& event) {
  for (std::size_t i = options_.before_text; i < options_.prompt.size(); ++i) {
    ToldToken token{.id = options_.prompt[i]};
    const bool first = i == options_.before_text;
    if (!first && i - 1 < event.prompt.size()) {
      token.log_prob = event.prompt[i - 1].log_prob;
      token.top = event.prompt[i - 1].top;
    }
    tell(std::move(token));
  }
}

void Choice::tell(ToldToken token) {
  token.offset = told_;
  told_ += characters(valid_text(decoder_.push(token.id)));
  held_.push_back(std::move(token));
}

void Choice::show(ChoicePiece& piece, std::string_view bytes) {
  const std::string text = valid_text(bytes);
  shown_ += characters(text);
  piece.text += text;
}

void Choice::release(ChoicePiece& piece, bool all) {
  for (; !held_.empty() && (all || held_.front().offset < shown_); held_.pop_front())
    piece.tokens.push_back(std::move(held_.front()));
}

}  // namespace fabula::serve
