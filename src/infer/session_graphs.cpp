// The graphs that a session runs; session.cpp runs them.
#include <fmt/format.h>

#include <algorithm>

#include "base/decode_slot.hpp"
#include "base/fail.hpp"
#include "infer/session.hpp"
#include "infer/session_states.hpp"
#include "models/token_inputs.hpp"
#include "ops/op_table.hpp"
#include "ops/texel.hpp"

namespace fabula::infer {
using graph::DType;
using graph::Graph;
using graph::Value;

namespace {

constexpr std::int64_t kMostSlots = 64;           // rows that row_product takes
constexpr std::int64_t kShortestChunk = 8;        // of a prompt
constexpr std::int64_t kFewRows = 32;             // of a prompt: chunks of so many are computed as steps are
constexpr std::int64_t kRowsAtOnce = 256;         // of such chunks, of many prompts
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
  for (std::int64_t rows = kShortestChunk; rows < longest; rows *= 4) lengths.push_back(rows);
  lengths.push_back(longest);
  return lengths;
}

/// How many sequences the graphs of chunks of `rows` positions take. Several only where a product's sums do not depend
/// on how many rows it has: where it is computed as a step's are, and by the kernel that one sequence has.
std::vector<std::int64_t> sequence_counts(const graph::Workload& workload, const models::LanguageModel& model,
                                          const SessionOptions& options, std::int64_t rows) {
  const ModelConfig& config = model.config();
  std::int64_t at_once = kRowsAtOnce;
  for (const std::int64_t width :
       {config.hidden, config.heads * config.head_dim(), 3 * config.heads * config.head_dim(), config.feed_forward()})
    if (const std::int64_t texel_rows = ops::texel_rows({1, width}, workload.profile()); texel_rows > 0)
      at_once = std::min(at_once, texel_rows);  // rows of a width that no texel view holds are never read so
  const std::int64_t most = rows <= kFewRows ? std::clamp<std::int64_t>(at_once / rows, 1, options.slots) : 1;
  std::vector<std::int64_t> counts;
  for (std::int64_t count = 1; count < most; count *= 4) counts.push_back(count);
  counts.push_back(most);
  return counts;
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

/// Chunks of prompts, `rows` positions of each: what they read, and their hidden states.
weights::Hidden prompt_hidden(Graph& graph, const models::LanguageModel& model, const SessionOptions& options,
                              std::int64_t sequences, std::int64_t rows) {
  const std::int64_t all = sequences * rows;
  models::BodyInputs inputs = models::token_inputs(graph, model, all, heads::LossUse::kValue);
  inputs.cached = cached_inputs(options);
  inputs.cached->places = graph.input("places", {1, kPlaceWords * all}, DType::kU32);
  inputs.cached->positions = graph.input("positions", {1, all}, DType::kU32);
  return model.body().hidden(graph, {.batch = sequences, .sequence = rows, .few_rows = rows <= kFewRows}, inputs);
}

SessionGraphs::Prompt add_prompt(graph::Workload& workload, const models::LanguageModel& model,
                                 const SessionOptions& options, std::int64_t sequences, std::int64_t rows) {
  Graph graph(ops::op_table());
  prompt_hidden(graph, model, options, sequences, rows);
  graph.remove_unread();  // only keys and values are wanted
  const std::string name =
      sequences == 1 ? fmt::format("prompt {}", rows) : fmt::format("{} prompts of {}", sequences, rows);
  return {rows, sequences, workload.add(name, std::move(graph))};
}

SessionGraphs::Score add_score(graph::Workload& workload, const models::LanguageModel& model,
                               const SessionOptions& options) {
  const std::int64_t most = std::max(kScoredNumbers / model.head().vocabulary(), kShortestChunk);
  const std::int64_t rows = std::min({options.longest_chunk, options.context, most});
  Graph graph(ops::op_table());
  const Value log_probs = model.head().log_probs(graph, prompt_hidden(graph, model, options, 1, rows));
  graph.keep(log_probs);
  return {.prompt = {rows, 1, workload.add(fmt::format("score {}", rows), std::move(graph))}, .log_probs = log_probs};
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
    for (const std::int64_t rows : prompt_lengths(of))
      for (const std::int64_t sequences : sequence_counts(workload, model, of, rows))
        graphs.prompts.push_back(add_prompt(workload, model, of, sequences, rows));
  if (of.score) graphs.score = add_score(workload, model, of);
  return graphs;
}

}  // namespace fabula::infer
