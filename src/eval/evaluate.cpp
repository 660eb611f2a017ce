#include "eval/evaluate.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"

namespace fabula::eval {
namespace {
double ratio(bool has, double sum, std::int64_t positions) {
  return has ? sum / static_cast<double>(positions) : NAN;
}
}  // namespace

double Evaluation::perplexity() const {
  return std::exp(loss());
}
double Evaluation::token_accuracy() const {
  return ratio(has_token, token_correct, positions);
}
double Evaluation::group_accuracy() const {
  return ratio(has_groups, group_correct, positions);
}
double Evaluation::token_in_group_accuracy() const {
  return ratio(has_groups, slot_correct, positions);
}

models::PlannedLoss add_evaluation_graph(graph::Workload& workload, const models::LanguageModel& model,
                                         std::int64_t batch, std::int64_t sequence, bool keep_positions) {
  return add_loss_graph(workload, "evaluate", models::evaluation_graph(model, batch, sequence, keep_positions));
}

Evaluation evaluate(graph::Runtime& runtime, const models::PlannedLoss& graph, const models::LanguageModel& model,
                    const text::BatchSource& source, std::uint64_t batches,
                    const std::function<bool(std::uint64_t, std::uint64_t)>& progress) {
  Evaluation result;
  const std::uint64_t total = batches > 0 ? std::min(batches, source.batches_per_epoch()) : source.batches_per_epoch();
  const auto sum_of = [&](graph::Value value) {
    return value ? static_cast<double>(runtime.read(graph.index, value).front()) : 0.0;
  };
  result.has_token = bool(graph.values.token_correct);
  result.has_groups = bool(graph.values.group_correct);
  const auto words_of = [&](std::uint64_t index) {
    const text::Batch batch = source.batch(index);
    return models::batch_words(model, batch.ids, batch.labels, heads::LossUse::kValue);
  };
  models::BatchWords words = words_of(0);
  for (std::uint64_t index = 0; index < total; ++index) {
    models::set_batch(runtime, graph.index, words);
    runtime.submit({graph.index});
    result.positions += words.counted;
    if (index + 1 < total) words = words_of(index + 1);  // while the device works
    const double loss = sum_of(graph.values.loss);
    if (!std::isfinite(loss)) fail(ErrorCode::kNumeric, "the evaluation loss of batch {} is not finite", index);
    result.loss_sum += loss;
    result.token_correct += sum_of(graph.values.token_correct);
    result.group_correct += sum_of(graph.values.group_correct);
    result.slot_correct += sum_of(graph.values.slot_correct);
    if (progress && !progress(index + 1, total)) break;
  }
  return result;
}

}  // namespace fabula::eval
