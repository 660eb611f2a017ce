#include "infer/session.hpp"

#include <algorithm>
#include <bit>

#include "base/decode_slot.hpp"
#include "base/fail.hpp"
#include "infer/session_states.hpp"
#include "models/token_inputs.hpp"

namespace fabula::infer {

Session::Session(graph::Runtime& runtime, SessionGraphs graphs, const models::LanguageModel& model,
                 std::vector<std::uint32_t> never_drawn)
    : runtime_(runtime),
      graphs_(std::move(graphs)),
      model_(model),
      never_drawn_(std::move(never_drawn)),
      slots_(static_cast<std::size_t>(graphs_.options.slots)) {}

std::optional<std::size_t> Session::free_slot() const {
  const auto free = std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.active; });
  if (free == slots_.end()) return std::nullopt;
  return static_cast<std::size_t>(free - slots_.begin());
}

std::size_t Session::active() const {
  return static_cast<std::size_t>(
      std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.active; }));
}

void Session::check_ids(std::span<const std::uint32_t> ids) const {
  if (ids.empty()) fail(ErrorCode::kInvalidArgument, "a prompt needs at least one token");
  if (static_cast<std::int64_t>(ids.size()) > context())
    fail(ErrorCode::kInvalidArgument, "the prompt has {} tokens, the context holds {}; shorten the prompt", ids.size(),
         context());
  const std::int64_t V = model_.head().vocabulary();
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] >= V)
      fail(ErrorCode::kInvalidArgument, "token {} of the prompt has id {}, the model has {} tokens", i, ids[i], V);
}

void Session::check(std::span<const std::uint32_t> prompt, const SequenceOptions& options) const {
  validate(options.sampler);
  check_ids(prompt);
  const std::int64_t V = model_.head().vocabulary();
  for (const auto& [id, bias] : options.sampler.logit_bias)
    if (id >= V) fail(ErrorCode::kInvalidArgument, "a bias is given for token id {}, the model has {} tokens", id, V);
  if (options.stop_ids.size() > kMostStops)
    fail(ErrorCode::kInvalidArgument, "{} tokens are to end a text, at most {} can", options.stop_ids.size(),
         kMostStops);
  if (options.top < 0 || options.top > kMostTopN)
    fail(ErrorCode::kInvalidArgument, "the number of likeliest tokens to tell is {}; it goes from 0 to {}", options.top,
         kMostTopN);
  if (options.max_tokens < 1) fail(ErrorCode::kInvalidArgument, "{} tokens are asked for", options.max_tokens);
}

void Session::start(std::size_t slot, std::span<const std::uint32_t> prompt, const SequenceOptions& options,
                    const OnDistribution& visit) {
  const SequenceStart starts[] = {{.slot = slot, .prompt = prompt, .options = options}};
  if (!visit) return start(starts);
  ensure(!slots_.at(slot).active, "slot {} has a sequence", slot);
  check(prompt, options);
  write_slot(starts[0]);
  score_prompt(slot, prompt.first(prompt.size() - 1), visit);
  occupy(starts[0]);
}

void Session::start(std::span<const SequenceStart> starts) {
  for (const SequenceStart& start : starts) check(start.prompt, start.options);
  std::vector<Reading> prompts;
  for (const SequenceStart& start : starts) {
    occupy(start);
    write_slot(start);
    prompts.push_back({.slot = start.slot, .ids = start.prompt.first(start.prompt.size() - 1), .wanted = start.wanted});
  }
  read_prompts(std::move(prompts));
}

void Session::occupy(const SequenceStart& start) {
  Slot& slot = slots_.at(start.slot);
  ensure(!slot.active, "slot {} has a sequence", start.slot);
  slot.active = true;
  slot.position = static_cast<std::int64_t>(start.prompt.size()) - 1;
  slot.top = start.options.top;
}

void Session::score(std::size_t slot, std::span<const std::uint32_t> ids, const OnDistribution& visit) {
  ensure(!slots_.at(slot).active, "slot {} has a sequence", slot);
  check_ids(ids);
  score_prompt(slot, ids, visit);
}

void Session::write_slot(const SequenceStart& start) {
  const SequenceOptions& options = start.options;
  const SamplerOptions& sampler = options.sampler;
  const auto size = static_cast<std::int64_t>(start.prompt.size());
  const std::int64_t end = size + std::min(options.max_tokens, context() - size);
  std::vector<std::uint32_t> words(kSlotWords, 0);
  words[kSlotToken] = start.prompt.back();
  words[kSlotPosition] = static_cast<std::uint32_t>(size - 1);
  words[kSlotLive] = 1;
  words[kSlotEnd] = static_cast<std::uint32_t>(end);
  set_sampling(words, sampler);
  if (!sampler.logit_bias.empty() || !never_drawn_.empty()) {
    words[kSlotFlags] |= kUsesBias;
    write_biases(start.slot, sampler);
  }
  words[kSlotTopN] = static_cast<std::uint32_t>(options.top);
  std::fill_n(words.begin() + kSlotStops, kMostStops, kNoToken);
  std::copy(options.stop_ids.begin(), options.stop_ids.end(), words.begin() + kSlotStops);
  const auto row = static_cast<std::int64_t>(start.slot);
  if (uses_counts(sampler)) {
    std::vector<std::uint32_t> in_prompt(static_cast<std::size_t>(model_.head().vocabulary()), 0);
    for (const std::uint32_t id : start.prompt) in_prompt[id] = kInPrompt;
    runtime_.upload_row(kCountsState, row, in_prompt);
  }
  runtime_.upload_row(kSlotsState, row, words);
}

void Session::write_biases(std::size_t slot, const SamplerOptions& sampler) {
  if (slots_[slot].biases == sampler.logit_bias) return;  // most texts have those of the one before
  std::vector<float> added(static_cast<std::size_t>(model_.head().vocabulary()), 0);
  for (const auto& [id, bias] : sampler.logit_bias) added[id] = static_cast<float>(bias);
  for (const std::uint32_t id : never_drawn_) added[id] = -kExcluded;
  runtime_.upload_row(kBiasState, static_cast<std::int64_t>(slot), added);
  slots_[slot].biases = sampler.logit_bias;
}

/// The shortest graph that takes all that is left of a prompt, or more than half of it; of such graphs the one for so
/// many sequences, or for the most.
const SessionGraphs::Prompt& Session::prompt_graph(std::int64_t left, std::size_t sequences) const {
  std::int64_t rows = graphs_.prompts.back().rows;
  for (const SessionGraphs::Prompt& graph : graphs_.prompts)
    if (2 * graph.rows > left) rows = std::min(rows, graph.rows);
  const SessionGraphs::Prompt* best = nullptr;
  for (const SessionGraphs::Prompt& graph : graphs_.prompts) {
    if (graph.rows != rows) continue;
    best = &graph;
    if (graph.sequences >= static_cast<std::int64_t>(sequences)) break;
  }
  return *best;
}

void Session::read_prompts(std::vector<Reading> prompts) {
  while (true) {
    std::erase_if(prompts, [&](const Reading& prompt) {
      const bool wanted = !prompt.wanted || prompt.wanted();
      if (!wanted) stop(prompt.slot);
      return !wanted || prompt.left() == 0;
    });
    if (prompts.empty()) return;
    // With the first go those whose next chunk is as long.
    const std::int64_t rows = prompt_graph(prompts.front().left(), 1).rows;
    std::vector<Reading*> together;
    for (Reading& prompt : prompts)
      if (prompt_graph(prompt.left(), 1).rows == rows) together.push_back(&prompt);
    const SessionGraphs::Prompt& graph = prompt_graph(prompts.front().left(), together.size());
    together.resize(std::min(together.size(), static_cast<std::size_t>(graph.sequences)));
    run_chunks(graph, together);
  }
}

void Session::score_prompt(std::size_t slot, std::span<const std::uint32_t> ids, const OnDistribution& visit) {
  ensure(graphs_.score.has_value(), "the session was not made to score prompts");
  const auto V = static_cast<std::size_t>(model_.head().vocabulary());
  Reading prompt{.slot = slot, .ids = ids};
  Reading* const alone[] = {&prompt};
  while (prompt.left() > 0) {
    const std::size_t begin = prompt.read;
    run_chunks(graphs_.score->prompt, alone);
    const std::vector<float> all = runtime_.read(graphs_.score->prompt.index, graphs_.score->log_probs);
    for (std::size_t i = begin; i < prompt.read; ++i) visit(i, std::span(all).subspan((i - begin) * V, V));
  }
}

void Session::run_chunks(const SessionGraphs::Prompt& graph, std::span<Reading* const> prompts) {
  const auto rows = static_cast<std::size_t>(graph.rows), all = rows * static_cast<std::size_t>(graph.sequences);
  std::vector<std::uint32_t> tokens(all, 0), positions(all, 0), places(kPlaceWords * all, 0);
  std::size_t row = 0;
  for (Reading* const prompt : prompts) {
    const std::size_t end = std::min(prompt->read + rows, prompt->ids.size());
    for (std::size_t to = row; prompt->read < end; ++to, ++prompt->read) {
      tokens[to] = prompt->ids[prompt->read];
      positions[to] = static_cast<std::uint32_t>(prompt->read);
      const std::uint32_t place[kPlaceWords] = {static_cast<std::uint32_t>(prompt->slot), positions[to], 1, 0};
      std::copy_n(place, kPlaceWords, places.begin() + static_cast<std::ptrdiff_t>(kPlaceWords * to));
    }
    row += rows;
  }
  models::set_inputs(runtime_, graph.index, models::token_words(model_, tokens, heads::LossUse::kValue));
  runtime_.set_input(graph.index, "places", std::span<const std::uint32_t>(places));
  if (model_.body().family().position_table.size() > 0)
    runtime_.set_input(graph.index, "positions", std::span<const std::uint32_t>(positions));
  runtime_.submit({graph.index});
}

std::vector<SessionToken> Session::advance(std::int64_t tokens) {
  std::vector<SessionToken> drawn;
  last_rows_.clear();
  for (std::size_t slot = 0; slot < slots_.size(); ++slot)
    if (slots_[slot].active) last_rows_.push_back(slot);
  if (last_rows_.empty()) return drawn;
  const std::int64_t K = graphs_.options.most_tokens_at_once;
  tokens = std::clamp<std::int64_t>(tokens, 1, K);
  const auto step = std::find_if(graphs_.steps.begin(), graphs_.steps.end(), [&](const SessionGraphs::Step& s) {
    return s.rows >= static_cast<std::int64_t>(last_rows_.size());
  });
  last_step_ = &*step;
  std::vector<std::uint32_t> rows(static_cast<std::size_t>(step->rows), kNoToken);
  std::copy(last_rows_.begin(), last_rows_.end(), rows.begin());
  runtime_.set_input(step->index, "rows", std::span<const std::uint32_t>(rows));
  runtime_.replay(step->index, tokens);
  const std::vector<std::uint32_t> ring = runtime_.read_words(step->index, step->ring);
  for (std::int64_t n = 0; n < tokens; ++n)
    for (const std::size_t slot : last_rows_) {
      if (!slots_[slot].active) continue;
      ++slots_[slot].position;
      drawn.push_back(token_of(slot, ring));
      slots_[slot].active = drawn.back().end == EndReason::kNone;
    }
  return drawn;
}

SessionToken Session::token_of(std::size_t slot, std::span<const std::uint32_t> ring) const {
  const std::int64_t K = graphs_.options.most_tokens_at_once, position = slots_[slot].position;
  const auto at = (slot * static_cast<std::size_t>(K) + static_cast<std::size_t>(position % K)) * kRingWords;
  const std::span<const std::uint32_t> words = ring.subspan(at, kRingWords);
  ensure(words[kRingPosition] == position, "slot {} drew for position {}, not {}", slot, words[kRingPosition],
         position);
  SessionToken token{.slot = slot,
                     .id = words[kRingToken],
                     .log_prob = std::bit_cast<float>(words[kRingLogProb]),
                     .position = position,
                     .visited = words[kRingVisited]};
  switch (words[kRingReason]) {
    case kReasonNone:
      break;
    case kReasonStop:
      token.end = EndReason::kStopToken;
      break;
    case kReasonLength:
      token.end = EndReason::kLength;
      break;
    default:
      token.end = EndReason::kNumeric;
  }
  for (std::int64_t i = 0; i < slots_[slot].top; ++i) {
    const std::span<const std::uint32_t> pair = words.subspan(kRingTop + 2 * static_cast<std::size_t>(i), 2);
    if (pair[0] != kNoToken) token.top.emplace_back(pair[0], std::bit_cast<float>(pair[1]));
  }
  return token;
}

void Session::stop(std::size_t slot) {
  slots_.at(slot).active = false;  // no row of a later step is its
}

std::vector<float> Session::log_probs(std::size_t slot) {
  ensure(graphs_.options.distribution, "the session was not made to tell whole distributions");
  const auto row = std::find(last_rows_.begin(), last_rows_.end(), slot);
  ensure(last_step_ != nullptr && row != last_rows_.end(), "slot {} was not in the last step", slot);
  const std::vector<float> all = runtime_.read(last_step_->index, last_step_->log_probs);
  const auto V = model_.head().vocabulary();
  const auto begin = all.begin() + (row - last_rows_.begin()) * V;
  return {begin, begin + V};
}

}  // namespace fabula::infer
