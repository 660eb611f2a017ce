#include "eval/score.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/fail.hpp"
#include "eval/frequency_eval.hpp"

namespace fabula::eval {

namespace {

using Visit = std::function<void(const TokenScore&)>;

/// Scores windows of T tokens by the graph that evaluates them: the losses alone are computed.
class WindowScorer {
 public:
  WindowScorer(vk::Device& device, const graph::Target& target, const infer::ModelFolder& folder, std::int64_t T)
      : model_(folder.model()) {
    graph::Workload workload(target);
    graph_.emplace(add_evaluation_graph(workload, model_, 1, T, true));
    runtime_.emplace(device, std::move(workload));
    folder.load_weights(*runtime_);
  }

  void run(const text::Batch& batch, const Visit& visit) {
    models::set_batch(*runtime_, graph_->index,
                      models::batch_words(model_, batch.ids, batch.labels, heads::LossUse::kValue));
    runtime_->submit({graph_->index});
    const auto positions = [&](graph::Value value) {
      return value ? runtime_->read(graph_->index, value) : std::vector<float>(batch.ids.size(), NAN);
    };
    const heads::HeadLoss& values = graph_->values.per_position;
    const std::vector<float> loss = positions(values.loss), group = positions(values.group_loss),
                             slot = positions(values.slot_loss);
    for (std::size_t i = 0; i < batch.labels.size() && batch.labels[i] != kIgnoredLabel; ++i)
      visit({.id = batch.labels[i],
             .log_p = -loss[i],
             .log_p_group = -group[i],
             .log_p_slot = -slot[i],
             .mass_without_token = 0});
  }

 private:
  const models::LanguageModel& model_;
  std::optional<models::PlannedLoss> graph_;
  std::optional<graph::Runtime> runtime_;
};

/// The same with whole distributions, for a model with rows that no token has.
class DistributionScorer {
 public:
  DistributionScorer(vk::Device& device, const graph::Target& target, const infer::ModelFolder& folder, std::int64_t T)
      : model_(folder.model()) {
    graph::Workload workload(target);
    graphs_ = add_label_graphs(workload, model_, 1, T, kLogProbBytes, folder.rows_without_token());
    runtime_.emplace(device, std::move(workload));
    folder.load_weights(*runtime_);
    evaluation_.emplace(*runtime_, graphs_, model_);
  }

  void run(const text::Batch& batch, const Visit& visit) {
    evaluation_->run(batch, [&](const LabelResult& result) {
      visit({.id = result.label,
             .log_p = -result.loss,
             .log_p_group = -result.group_loss,
             .log_p_slot = -result.slot_loss,
             .mass_without_token = result.mass_without_token});
    });
  }

 private:
  const models::LanguageModel& model_;
  LabelGraphs graphs_;
  std::optional<graph::Runtime> runtime_;
  std::optional<LabelEvaluation> evaluation_;
};

template <class Scorer>
void score_windows(Scorer&& scorer, std::span<const std::uint32_t> ids, std::size_t T, const Visit& visit) {
  for (std::size_t begin = 0; begin + 1 < ids.size(); begin += T) {
    const std::size_t count = std::min(T, ids.size() - 1 - begin);
    text::Batch batch{std::vector<std::uint32_t>(T, ids[0]), std::vector<std::uint32_t>(T, kIgnoredLabel)};
    std::copy_n(ids.begin() + begin, count, batch.ids.begin());
    std::copy_n(ids.begin() + begin + 1, count, batch.labels.begin());
    scorer.run(batch, visit);
  }
}

}  // namespace

void score(vk::Device& device, const graph::Target& target, const infer::ModelFolder& folder, std::string_view text,
           const Visit& visit) {
  std::vector<std::uint32_t> ids = folder.tokenizer().encode(text, {.added_tokens = true});
  if (ids.empty()) fail(ErrorCode::kInvalidArgument, "the text to score is empty");
  folder.check_ids(ids);
  const std::uint32_t start = folder.start_id() ? *folder.start_id() : folder.tokenizer().eot_id();
  ids.insert(ids.begin(), start);
  const auto tokens = static_cast<std::int64_t>(ids.size()) - 1;
  const std::int64_t T = std::min(tokens, folder.model().config().n_positions);
  std::size_t scored = 0;
  const auto checked = [&](const TokenScore& score) {
    if (!std::isfinite(score.log_p))
      fail(ErrorCode::kNumeric, "the log-probability of token {} (id {}) is not finite; look for bad numbers in {}",
           scored, score.id, folder.weights().string());
    ++scored;
    visit(score);
  };
  if (folder.rows_without_token().empty())
    score_windows(WindowScorer(device, target, folder, T), ids, static_cast<std::size_t>(T), checked);
  else
    score_windows(DistributionScorer(device, target, folder, T), ids, static_cast<std::size_t>(T), checked);
}

}  // namespace fabula::eval
