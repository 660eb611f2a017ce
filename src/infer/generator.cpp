#include "infer/generator.hpp"

#include <algorithm>
#include <limits>

#include "base/fail.hpp"
#include "infer/model_folder.hpp"
#include "infer/rows_without_token.hpp"
#include "ops/op_table.hpp"

namespace fabula::infer {
using graph::DType;
using graph::Graph;
using graph::Value;

GenerationGraphs add_generation_graphs(graph::Workload& workload, const models::LanguageModel& model,
                                       std::int64_t max_context) {
  GenerationGraphs result;
  max_context = std::min(max_context, model.config().n_positions);
  for (std::int64_t context = 16;; context *= 2) {
    const std::int64_t T = std::min(context, max_context);
    Graph graph(ops::op_table());
    models::BodyInputs inputs;
    inputs.ids = graph.input("ids", {1, T}, DType::kU32);
    const Value hidden = model.body().hidden(graph, {1, T, false}, inputs);
    // The last position's row: a look-up in the hidden states.
    const Value row = graph.op1("embedding", {graph.input("row", {1, 1}, DType::kU32), hidden});
    const Value log_probs = model.head().log_probs(graph, row);
    graph.keep(log_probs);
    const std::size_t index = workload.add(fmt::format("generate {}", T), std::move(graph));
    result.entries.push_back({T, index, log_probs});
    if (T == max_context) return result;
  }
}

Generator::Generator(graph::Runtime& runtime, const GenerationGraphs& graphs, const models::LanguageModel& model,
                     const text::Tokenizer& tokenizer, std::optional<std::uint32_t> start_id)
    : runtime_(runtime),
      graphs_(graphs),
      model_(model),
      tokenizer_(tokenizer),
      start_id_(start_id),
      never_drawn_(rows_without_token(tokenizer, model.head().vocabulary())) {}

std::vector<float> Generator::log_probs(const std::vector<std::uint32_t>& ids) {
  const auto length = static_cast<std::int64_t>(ids.size());
  ensure(length >= 1 && length <= max_context(), "a context of {} tokens; 1 to {} are possible", length, max_context());
  const auto entry =
      std::find_if(graphs_.entries.begin(), graphs_.entries.end(), [&](const auto& e) { return e.context >= length; });
  std::vector<std::uint32_t> padded = ids;
  padded.resize(static_cast<std::size_t>(entry->context),
                ids.back());  // causal: what stands behind the last position is not seen
  const std::uint32_t last = static_cast<std::uint32_t>(length - 1);
  runtime_.set_input(entry->index, "ids", std::span<const std::uint32_t>(padded));
  runtime_.set_input(entry->index, "row", std::span<const std::uint32_t>(&last, 1));
  runtime_.submit({entry->index});
  return runtime_.read(entry->index, entry->log_probs);
}

std::vector<std::uint32_t> Generator::encode_prompt(std::string_view prompt) const {
  std::vector<std::uint32_t> ids = tokenizer_.encode(prompt, {.added_tokens = true});
  refuse_ids_beyond(model_.config().vocab_size, ids, tokenizer_);
  if (static_cast<std::int64_t>(ids.size()) > max_context())
    fail(ErrorCode::kInvalidArgument, "the prompt has {} tokens, the model's context holds {}; shorten the prompt",
         ids.size(), max_context());
  // A prompt is the start of a document, and in training every document follows an end-of-text token: without it the
  // first words come from a context that the model never saw.
  const bool starts_document = start_id_ && static_cast<std::int64_t>(ids.size()) < max_context();
  if (starts_document && (ids.empty() || ids.front() != *start_id_)) ids.insert(ids.begin(), *start_id_);
  if (ids.empty())
    fail(ErrorCode::kInvalidArgument,
         "the prompt is empty and no token is known to start from; name one with --end-token");
  return ids;
}

std::string Generator::generate(std::string_view prompt, const GenerateOptions& options,
                                const std::function<bool(std::string_view)>& on_text) {
  validate(options.sampler);
  std::vector<std::uint32_t> ids = encode_prompt(prompt);
  Philox random(options.sampler.seed);
  text::StreamDecoder decoder(tokenizer_);
  std::string result;
  const auto show = [&](const std::string& piece) {
    result += piece;
    return !on_text || piece.empty() || on_text(piece);
  };
  for (std::int64_t n = 0; n < options.max_tokens; ++n) {
    if (static_cast<std::int64_t>(ids.size()) > max_context())
      ids.erase(ids.begin(), ids.end() - std::max<std::int64_t>(max_context() / 2, 1));
    std::vector<float> next = log_probs(ids);
    for (const std::uint32_t row : never_drawn_) next[row] = -std::numeric_limits<float>::infinity();
    const std::uint32_t id = sample(next, options.sampler, random);
    if (std::find(options.stop_ids.begin(), options.stop_ids.end(), id) != options.stop_ids.end()) break;
    ids.push_back(id);
    if (!show(decoder.push(id))) return result;
  }
  show(decoder.finish());
  return result;
}

}  // namespace fabula::infer
