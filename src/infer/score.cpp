#include "infer/score.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "infer/evaluate.hpp"

namespace fabula::infer {

std::vector<TokenScore> score(vk::Device& device, const ModelFolder& folder, std::string_view text) {
  const models::LanguageModel& model = folder.model();
  std::vector<std::uint32_t> ids = folder.tokenizer().encode(text, {.added_tokens = true});
  if (ids.empty()) fail(ErrorCode::kInvalidArgument, "the text to score is empty");
  folder.check_ids(ids);
  const std::uint32_t start = folder.start_id() ? *folder.start_id() : folder.tokenizer().eot_id();
  ids.insert(ids.begin(), start);
  const auto tokens = static_cast<std::int64_t>(ids.size()) - 1;
  const std::int64_t T = std::min(tokens, model.config().n_positions);
  graph::Workload workload(device.profile());
  const EvaluationGraph graph = add_evaluation_graph(workload, model, 1, T, true);
  graph::Runtime runtime(device, std::move(workload));
  folder.load_weights(runtime);
  std::vector<TokenScore> scores;
  for (std::int64_t begin = 0; begin < tokens; begin += T) {
    const std::int64_t count = std::min(T, tokens - begin);
    std::vector<std::uint32_t> inputs(static_cast<std::size_t>(T), ids[0]),
        labels(static_cast<std::size_t>(T), kIgnoredLabel);
    std::copy_n(ids.begin() + begin, count, inputs.begin());
    std::copy_n(ids.begin() + begin + 1, count, labels.begin());
    models::set_batch(runtime, graph.index, models::batch_words(model, inputs, labels, heads::LossUse::kValue));
    runtime.submit({graph.index});
    const auto positions = [&](graph::Value value) {
      return value ? runtime.read(graph.index, value) : std::vector<float>(static_cast<std::size_t>(T), NAN);
    };
    const heads::HeadLoss& values = graph.handles.per_position;
    const std::vector<float> loss = positions(values.loss), group = positions(values.group_loss),
                             slot = positions(values.slot_loss);
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      if (!std::isfinite(loss[i]))
        fail(ErrorCode::kNumeric, "the log-probability of token {} (id {}) is not finite; look for bad numbers in {}",
             scores.size(), labels[i], folder.weights().string());
      scores.push_back({labels[i], -loss[i], -group[i], -slot[i]});
    }
  }
  return scores;
}

}  // namespace fabula::infer
