#include "infer/session.hpp"

#include <algorithm>
#include <bit>

#include "base/decode_slot.hpp"
#include "base/fail.hpp"
#include "models/token_inputs.hpp"
#include "ops/op_table.hpp"

namespace fabula::infer {
using graph::DType;
using graph::Graph;
using graph::Value;

namespace {

constexpr const char* kSlotsState = "decode.slots";
constexpr const char* kCountsState = "decode.counts";
constexpr const char* kBiasState = "decode.bias";
constexpr const char* kRingState = "decode.ring";
constexpr std::int64_t kMostSlots = 64;           // rows that row_product takes
constexpr std::int64_t kFewRows = 8;              // prompts of so many are computed as steps are
constexpr std::int64_t kLongestChunk = 512;       // rows that cached_attention takes
constexpr std::int64_t kScoredNumbers = 4 << 20;  // of a chunk whose distributions are read, about

void in_range(const char* what, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value < least || value > most)
    fail(ErrorCode::kInvalidArgument, "{} is {}; it goes from {} to {}", what, value, least, most);
}

SessionOptions settled(const models::LanguageModel& model, SessionOptions options) {
  const std::int64_t positions = model.config().n_positions;
  in_range("the number of slots", options.slots, 1, kMostSlots);
  if (options.context == 0) options.context = positions;
  in_range("the context", options.context, 1, positions);
  in_range("the tokens of a submission", options.most_tokens_at_once, 1, 1024);
  in_range("the longest chunk of a prompt", options.longest_chunk, 1, kLongestChunk);
  return options;
}

std::vector<std::int64_t> prompt_lengths(const SessionOptions& options) {
  std::vector<std::int64_t> lengths;
  const std::int64_t longest = std::min(options.longest_chunk, std::max<std::int64_t>(options.context - 1, 1));
  for (std::int64_t rows = kFewRows; rows < longest; rows *= 4) lengths.push_back(rows);
  lengths.push_back(longest);
  return lengths;
}

models::CachedInputs cached_inputs(const SessionOptions& options) {
  models::CachedInputs cached;
  cached.slot_count = options.slots;
  cached.context = options.context;
  cached.longest_prompt = prompt_lengths(options).back();
  if (options.score)
    cached.longest_prompt = std::max(cached.longest_prompt, std::min(options.longest_chunk, options.context));
  cached.dtype = options.cache;
  return cached;
}

SessionGraphs::Step add_step(graph::Workload& workload, const models::LanguageModel& model,
                             const SessionOptions& options, std::int64_t rows) {
  Graph graph(ops::op_table());
  const std::int64_t S = options.slots, V = model.head().vocabulary(), K = options.most_tokens_at_once;
  models::BodyInputs inputs;
  inputs.cached = cached_inputs(options);
  inputs.cached->slots = graph.state(kSlotsState, {S, kSlotWords, DType::kU32});
  inputs.cached->rows = graph.input("rows", {1, rows}, DType::kU32);
  inputs.classes = models::step_classes(graph, model);
  const weights::Hidden hidden = model.body().hidden(graph, {.batch = rows, .sequence = 1, .few_rows = true}, inputs);
  SessionGraphs::Step step{.rows = rows, .index = 0, .ring = {}, .log_probs = model.head().log_probs(graph, hidden)};
  step.ring = graph.state(kRingState, {S * K, kRingWords, DType::kU32});
  graph.op("sample_tokens",
           {step.log_probs, inputs.cached->slots, graph.state(kCountsState, {S, V, DType::kU32}),
            graph.state(kBiasState, {S, V}), hidden.places, step.ring},
           {{"ring", double(K)}});
  graph.keep(step.ring);
  if (options.distribution) graph.keep(step.log_probs);
  step.index = workload.add(fmt::format("decode {}", rows), std::move(graph));
  return step;
}

/// A chunk of a prompt: what its rows read, and their hidden states.
weights::Hidden prompt_hidden(Graph& graph, const models::LanguageModel& model, const SessionOptions& options,
                              std::int64_t rows) {
  models::BodyInputs inputs = models::token_inputs(graph, model, rows, heads::LossUse::kValue);
  inputs.cached = cached_inputs(options);
  inputs.cached->places = graph.input("places", {1, kPlaceWords * rows}, DType::kU32);
  inputs.cached->positions = graph.input("positions", {1, rows}, DType::kU32);
  return model.body().hidden(graph, {.batch = 1, .sequence = rows, .few_rows = rows <= kFewRows}, inputs);
}

SessionGraphs::Prompt add_prompt(graph::Workload& workload, const models::LanguageModel& model,
                                 const SessionOptions& options, std::int64_t rows) {
  Graph graph(ops::op_table());
  prompt_hidden(graph, model, options, rows);
  graph.remove_unread();  // only keys and values are wanted
  return {rows, workload.add(fmt::format("prompt {}", rows), std::move(graph))};
}

SessionGraphs::Score add_score(graph::Workload& workload, const models::LanguageModel& model,
                               const SessionOptions& options) {
  const std::int64_t most = std::max(kScoredNumbers / model.head().vocabulary(), kFewRows);
  const std::int64_t rows = std::min({options.longest_chunk, options.context, most});
  Graph graph(ops::op_table());
  const Value log_probs = model.head().log_probs(graph, prompt_hidden(graph, model, options, rows));
  graph.keep(log_probs);
  return {.prompt = {rows, workload.add(fmt::format("score {}", rows), std::move(graph))}, .log_probs = log_probs};
}

}  // namespace

SessionGraphs add_session_graphs(graph::Workload& workload, const models::LanguageModel& model,
                                 SessionOptions options) {
  SessionGraphs graphs{.options = settled(model, options), .steps = {}, .prompts = {}, .score = {}};
  const SessionOptions& of = graphs.options;
  for (std::int64_t rows = 1;; rows *= 2) {
    graphs.steps.push_back(add_step(workload, model, of, std::min(rows, of.slots)));
    if (rows >= of.slots) break;
  }
  if (of.context > 1)
    for (const std::int64_t rows : prompt_lengths(of)) graphs.prompts.push_back(add_prompt(workload, model, of, rows));
  if (of.score) graphs.score = add_score(workload, model, of);
  return graphs;
}

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
  in_range("the number of likeliest tokens to tell", options.top, 0, kMostTopN);
  if (options.max_tokens < 1) fail(ErrorCode::kInvalidArgument, "{} tokens are asked for", options.max_tokens);
}

void Session::start(std::size_t slot, std::span<const std::uint32_t> prompt, const SequenceOptions& options,
                    const OnDistribution& visit) {
  ensure(!slots_.at(slot).active, "slot {} has a sequence", slot);
  check(prompt, options);
  write_slot(slot, prompt, options);
  const std::span<const std::uint32_t> before = prompt.first(prompt.size() - 1);
  visit ? score_prompt(slot, before, visit) : run_prompt(slot, before);
  slots_[slot].active = true;
  slots_[slot].position = static_cast<std::int64_t>(prompt.size()) - 1;
  slots_[slot].top = options.top;
}

void Session::score(std::size_t slot, std::span<const std::uint32_t> ids, const OnDistribution& visit) {
  ensure(!slots_.at(slot).active, "slot {} has a sequence", slot);
  check_ids(ids);
  score_prompt(slot, ids, visit);
}

void Session::write_slot(std::size_t slot, std::span<const std::uint32_t> prompt, const SequenceOptions& options) {
  const SamplerOptions& sampler = options.sampler;
  const auto size = static_cast<std::int64_t>(prompt.size());
  const std::int64_t end = size + std::min(options.max_tokens, context() - size);
  const bool counts = uses_counts(sampler);
  const bool bias = !sampler.logit_bias.empty() || !never_drawn_.empty();
  std::vector<std::uint32_t> words(kSlotWords, 0);
  words[kSlotToken] = prompt.back();
  words[kSlotPosition] = static_cast<std::uint32_t>(size - 1);
  words[kSlotLive] = 1;
  words[kSlotEnd] = static_cast<std::uint32_t>(end);
  set_sampling(words, sampler);
  if (bias) words[kSlotFlags] |= kUsesBias;
  words[kSlotTopN] = static_cast<std::uint32_t>(options.top);
  std::fill_n(words.begin() + kSlotStops, kMostStops, kNoToken);
  std::copy(options.stop_ids.begin(), options.stop_ids.end(), words.begin() + kSlotStops);
  const auto row = static_cast<std::int64_t>(slot);
  const auto V = static_cast<std::size_t>(model_.head().vocabulary());
  if (counts) {
    std::vector<std::uint32_t> in_prompt(V, 0);
    for (const std::uint32_t id : prompt) in_prompt[id] = kInPrompt;
    runtime_.upload_row(kCountsState, row, in_prompt);
  }
  if (bias) {
    std::vector<float> added(V, 0);
    for (const auto& [id, b] : sampler.logit_bias) added[id] = static_cast<float>(b);
    for (const std::uint32_t id : never_drawn_) added[id] = -kExcluded;
    runtime_.upload_row(kBiasState, row, added);
  }
  runtime_.upload_row(kSlotsState, row, words);
}

void Session::run_prompt(std::size_t slot, std::span<const std::uint32_t> ids) {
  for (std::size_t begin = 0; begin < ids.size();) {
    const auto left = static_cast<std::int64_t>(ids.size() - begin);
    // The shortest graph that takes all that is left, or more than half of it.
    const SessionGraphs::Prompt* prompt = &graphs_.prompts.back();
    for (const SessionGraphs::Prompt& candidate : graphs_.prompts)
      if (candidate.rows >= left || 2 * candidate.rows > left) {
        prompt = &candidate;
        break;
      }
    begin += run_chunk(*prompt, slot, ids, begin);
  }
}

void Session::score_prompt(std::size_t slot, std::span<const std::uint32_t> ids, const OnDistribution& visit) {
  ensure(graphs_.score.has_value(), "the session was not made to score prompts");
  const auto V = static_cast<std::size_t>(model_.head().vocabulary());
  for (std::size_t begin = 0; begin < ids.size();) {
    const std::size_t n = run_chunk(graphs_.score->prompt, slot, ids, begin);
    const std::vector<float> all = runtime_.read(graphs_.score->prompt.index, graphs_.score->log_probs);
    for (std::size_t i = 0; i < n; ++i) visit(begin + i, std::span(all).subspan(i * V, V));
    begin += n;
  }
}

std::size_t Session::run_chunk(const SessionGraphs::Prompt& prompt, std::size_t slot,
                               std::span<const std::uint32_t> ids, std::size_t begin) {
  const auto rows = static_cast<std::size_t>(prompt.rows), n = std::min(rows, ids.size() - begin);
  std::vector<std::uint32_t> tokens(rows, 0), positions(rows, 0), places(kPlaceWords * rows, 0);
  for (std::size_t i = 0; i < n; ++i) {
    tokens[i] = ids[begin + i];
    positions[i] = static_cast<std::uint32_t>(begin + i);
    const std::uint32_t place[kPlaceWords] = {static_cast<std::uint32_t>(slot), positions[i], 1, 0};
    std::copy_n(place, kPlaceWords, places.begin() + static_cast<std::ptrdiff_t>(kPlaceWords * i));
  }
  models::set_inputs(runtime_, prompt.index, models::token_words(model_, tokens, heads::LossUse::kValue));
  runtime_.set_input(prompt.index, "places", std::span<const std::uint32_t>(places));
  if (model_.body().family().position_table.size() > 0)
    runtime_.set_input(prompt.index, "positions", std::span<const std::uint32_t>(positions));
  runtime_.submit({prompt.index});
  return n;
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
