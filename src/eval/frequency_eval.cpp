#include "eval/frequency_eval.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "models/token_inputs.hpp"
#include "ops/op_table.hpp"
#include "ops/storage.hpp"

namespace fabula::eval {
using graph::DType;
using graph::Graph;
using graph::Value;

namespace {

constexpr const char* kHidden = "eval.hidden";               // [N, D], handed from graph to graph
constexpr const char* kRows = "eval.rows";                   // [1, R]: the hidden vectors of a chunk
constexpr const char* kJointLabels = "eval.labels";          // [1, R]
constexpr const char* kWithoutToken = "eval.without_token";  // [1, V]: 0 where a row has no token, else kNothing
constexpr float kNothing = -1e30f;                           // as a logarithm; an infinite one would look like an error
constexpr std::uint64_t kPartOfHeap = 8;                     // logits and log-probabilities are held beside each other

/// Rows of log-probabilities that may be held at once, evened out over the chunks of N positions.
std::int64_t chunk_rows(const vk::Limits& limits, std::int64_t N, std::int64_t V, std::uint64_t bytes) {
  bytes = std::min({bytes, limits.max_storage_range, limits.max_allocation});
  if (limits.heap_cap > 0) bytes = std::min(bytes, limits.heap_cap / kPartOfHeap);
  const auto most = std::max<std::int64_t>(1, static_cast<std::int64_t>(bytes / sizeof(float)) / V);
  const std::int64_t chunks = (N + most - 1) / most;
  return (N + chunks - 1) / chunks;
}

Graph body_graph(const models::LanguageModel& model, std::int64_t batch, std::int64_t sequence) {
  Graph graph(ops::op_table());
  const models::BodyInputs inputs = models::token_inputs(graph, model, batch * sequence, heads::LossUse::kValue);
  const Value hidden = model.body().hidden(graph, {batch, sequence, false, model.dtype()}, inputs);
  graph.store_as_state(ops::cast_to(graph, hidden, DType::kF32), kHidden);
  return graph;
}

Graph head_graph(const models::LanguageModel& model, std::int64_t N, LabelGraphs& result) {
  Graph graph(ops::op_table());
  const heads::Head& head = model.head();
  const Value hidden = graph.state(kHidden, {N, model.config().hidden});
  const Value rows = graph.op1("embedding", {graph.input(kRows, {1, result.rows}, DType::kU32), hidden});
  result.loss = head.loss(graph, rows, heads::LossUse::kValue);
  const Value log_p = head.log_probs(graph, rows);
  const Value labels = graph.input(kJointLabels, {1, result.rows}, DType::kU32);
  const std::vector<Value> joint = graph.op("cross_entropy", {log_p, labels});
  result.joint_loss = joint[0];
  result.joint_correct = joint[2];
  result.top_log_p = graph.op1("row_max", {log_p});
  if (!result.rows_without_token.empty()) {
    const Value chosen = graph.constant(kWithoutToken, {1, head.vocabulary()});
    const Value others_out = graph.op1("add_position", {log_p, chosen}, {{"sequence", 1}});
    result.log_mass = graph.op("cross_entropy", {others_out, labels})[1];
  }
  const heads::HeadLoss& loss = result.loss;
  for (Value value : {loss.loss, loss.group_loss, loss.slot_loss, loss.group_correct, loss.slot_correct,
                      result.joint_loss, result.joint_correct, result.top_log_p, result.log_mass})
    if (value) graph.keep(value);
  return graph;
}

}  // namespace

LabelGraphs add_label_graphs(graph::Workload& workload, const models::LanguageModel& model, std::int64_t batch,
                             std::int64_t sequence, std::uint64_t log_prob_bytes,
                             std::vector<std::uint32_t> rows_without_token) {
  LabelGraphs result;
  result.rows_without_token = std::move(rows_without_token);
  const std::int64_t N = batch * sequence;
  result.rows = chunk_rows(workload.profile().limits, N, model.head().vocabulary(), log_prob_bytes);
  result.body = workload.add("evaluate body", body_graph(model, batch, sequence));
  result.head = workload.add("evaluate labels", head_graph(model, N, result));
  return result;
}

/// Labels of a batch that count, and where they stand in it.
struct LabelEvaluation::Chunk {
  std::vector<std::uint32_t> rows, labels;
};

LabelEvaluation::LabelEvaluation(graph::Runtime& runtime, const LabelGraphs& graphs, const models::LanguageModel& model)
    : runtime_(runtime), graphs_(graphs), model_(model) {
  if (graphs_.rows_without_token.empty()) return;
  std::vector<float> chosen(static_cast<std::size_t>(model_.head().vocabulary()), kNothing);
  for (const std::uint32_t row : graphs_.rows_without_token) chosen[row] = 0;
  runtime_.upload(kWithoutToken, chosen);
}

void LabelEvaluation::run(const text::Batch& batch, const std::function<void(const LabelResult&)>& visit) {
  models::set_inputs(runtime_, graphs_.body, models::token_words(model_, batch.ids, heads::LossUse::kValue));
  runtime_.submit({graphs_.body});
  for (Chunk& chunk : chunks_of(batch, static_cast<std::size_t>(graphs_.rows))) run_head(std::move(chunk), visit);
}

std::vector<LabelEvaluation::Chunk> LabelEvaluation::chunks_of(const text::Batch& batch, std::size_t size) {
  std::vector<Chunk> chunks;
  for (std::size_t n = 0; n < batch.labels.size(); ++n) {
    if (batch.labels[n] == kIgnoredLabel) continue;
    if (chunks.empty() || chunks.back().rows.size() == size) chunks.emplace_back();
    chunks.back().rows.push_back(static_cast<std::uint32_t>(n));
    chunks.back().labels.push_back(batch.labels[n]);
  }
  return chunks;
}

void LabelEvaluation::run_head(Chunk chunk, const std::function<void(const LabelResult&)>& visit) {
  const std::size_t count = chunk.labels.size(), size = static_cast<std::size_t>(graphs_.rows);
  chunk.rows.resize(size, 0);
  chunk.labels.resize(size, kIgnoredLabel);
  std::vector<heads::NamedWords> inputs = model_.head().batch_inputs(chunk.labels, heads::LossUse::kValue);
  inputs.push_back({kRows, std::move(chunk.rows)});
  inputs.push_back({kJointLabels, chunk.labels});
  models::set_inputs(runtime_, graphs_.head, inputs);
  runtime_.submit({graphs_.head});
  const heads::HeadLoss& loss = graphs_.loss;
  const std::vector<float> losses = read(loss.loss), tops = read(graphs_.top_log_p), mass = read(graphs_.log_mass),
                           tokens = read(graphs_.joint_correct), groups = read(loss.group_loss),
                           slots = read(loss.slot_loss), group_hits = read(loss.group_correct),
                           slot_hits = read(loss.slot_correct);
  for (std::size_t i = 0; i < count; ++i) {
    if (!std::isfinite(losses[i]) || !std::isfinite(tops[i]))
      fail(ErrorCode::kNumeric,
           "the model's distribution is not finite where the label is {}: loss {}, log p of the "
           "most probable token {}; look for bad numbers in the weights",
           chunk.labels[i], losses[i], tops[i]);
    visit({.label = chunk.labels[i],
           .loss = losses[i],
           .top_probability = std::min(1.0, std::exp(double{tops[i]})),  // rounding may exceed 1
           .token_correct = tokens[i] != 0,
           .group_loss = groups[i],
           .slot_loss = slots[i],
           .group_correct = group_hits[i] == 1,
           .slot_correct = slot_hits[i] == 1,
           .mass_without_token = graphs_.log_mass ? std::exp(double{mass[i]}) : 0});
  }
}

std::vector<float> LabelEvaluation::read(Value value) {
  return value ? runtime_.read(graphs_.head, value) : std::vector<float>(static_cast<std::size_t>(graphs_.rows), NAN);
}

void evaluate_labels(graph::Runtime& runtime, const LabelGraphs& graphs, const models::LanguageModel& model,
                     const text::BatchSource& source, std::uint64_t batches,
                     const std::function<void(const LabelResult&)>& visit,
                     const std::function<bool(std::uint64_t, std::uint64_t)>& progress) {
  LabelEvaluation evaluation(runtime, graphs, model);
  const std::uint64_t total = batches > 0 ? std::min(batches, source.batches_per_epoch()) : source.batches_per_epoch();
  for (std::uint64_t index = 0; index < total; ++index) {
    evaluation.run(source.batch(index), visit);
    if (progress && !progress(index + 1, total)) return;
  }
}

Evaluation evaluate(graph::Runtime& runtime, const LabelGraphs& graphs, const models::LanguageModel& model,
                    const text::BatchSource& source, std::uint64_t batches,
                    const std::function<bool(std::uint64_t, std::uint64_t)>& progress) {
  LabelSums sums;
  evaluate_labels(
      runtime, graphs, model, source, batches, [&](const LabelResult& result) { sums.add(result); }, progress);
  const bool has_groups = graphs.has_groups();
  return {.loss_sum = sums.loss,
          .token_correct = has_groups ? 0 : sums.token_correct,
          .group_correct = sums.group_correct,
          .slot_correct = sums.slot_correct,
          .mass_without_token = sums.mass_without_token,
          .positions = sums.labels,
          .has_token = !has_groups,
          .has_groups = has_groups};
}

FrequencyEvaluation evaluate_by_frequency(vk::Device& device, const graph::Target& target,
                                          const infer::ModelFolder& folder, const text::BatchSource& source,
                                          std::int64_t batch, std::int64_t sequence, std::vector<std::uint64_t> counts,
                                          std::uint64_t batches,
                                          const std::function<bool(std::uint64_t, std::uint64_t)>& progress) {
  const models::LanguageModel& model = folder.model();
  counts.resize(static_cast<std::size_t>(model.config().vocab_size));  // a model may have more than its tokenizer
  FrequencyEvaluation result{FrequencyTable(counts, model.config().vocab_size)};
  graph::Workload workload(target);
  const LabelGraphs graphs =
      add_label_graphs(workload, model, batch, sequence, kLogProbBytes, folder.rows_without_token());
  result.has_groups = graphs.has_groups();
  graph::Runtime runtime(device, std::move(workload));
  folder.load_weights(runtime);
  evaluate_labels(
      runtime, graphs, model, source, batches, [&](const LabelResult& label) { result.table.add(label); }, progress);
  return result;
}

}  // namespace fabula::eval
