#pragma once
#include <cmath>
#include <optional>

#include "base/hash.hpp"
#include "graph/models.hpp"
#include "infer/session.hpp"
#include "models/token_inputs.hpp"
#include "models/weights.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"
#include "weights/matrix.hpp"

// Small models that a session decodes, beside the same models over a whole context.
namespace fabula::infer {

inline ModelConfig config_of(ModelFamily family, HeadKind head,
                             HeadModulation modulation = HeadModulation::kScaleShift) {
  ModelConfig config = test::small_config(head);
  config.family = family;
  config.n_positions = 80;
  config.head.modulation = modulation;
  if (family == ModelFamily::kGptNeo) config.window_size = 5;
  if (family == ModelFamily::kLlama) config.hidden = 24, config.heads = 4, config.kv_heads = 2;
  if (head == HeadKind::kAdaptive) config.head.cutoffs = {20, 80};
  return config;
}

inline ModelConfig with_class_input(ModelConfig config) {
  config.head.class_input = true;
  return config;
}

inline std::vector<std::uint32_t> random_ids(std::size_t count, std::uint64_t seed, std::int64_t vocabulary = 143) {
  Philox random(seed);
  std::vector<std::uint32_t> ids;
  while (ids.size() < count) ids.push_back(random.below(static_cast<std::uint32_t>(vocabulary)));
  return ids;
}

/// Weights that make distributions far from flat, so that a wrong context shows.
inline void spread_weights(graph::Runtime& runtime, const models::LanguageModel& model) {
  models::initialise_weights(runtime, model, 5);
  for (const graph::ParameterSpec& spec : model.parameters()) {
    if (spec.init != graph::Init::kNormal) continue;
    Philox random(fnv1a(spec.name));
    std::vector<float> values(static_cast<std::size_t>(spec.shape.count()));
    for (float& v : values) v = static_cast<float>(8 * spec.init_std * random.normal());
    weights::matrix_of(spec)->upload(runtime, values);
  }
}

/// A model, its session and the same model over a whole context.
class Decoded {
 public:
  Decoded(const ModelConfig& config, SessionOptions options, std::vector<std::uint32_t> never_drawn = {},
          weights::Format format = weights::Format::kFp32)
      : model_(config, {}, Precision::kFp32, format), whole_(config.n_positions) {
    graph::Workload workload(test::device().profile());
    SessionGraphs graphs = add_session_graphs(workload, model_, options);
    graph::Graph graph(ops::op_table());
    const models::BodyInputs inputs = models::token_inputs(graph, model_, whole_, heads::LossUse::kValue);
    log_probs_ = model_.head().log_probs(graph, model_.body().hidden(graph, {1, whole_, false}, inputs));
    graph.keep(log_probs_);
    index_ = workload.add("whole", std::move(graph));
    runtime_.emplace(test::device(), std::move(workload));
    spread_weights(*runtime_, model_);
    session_.emplace(*runtime_, std::move(graphs), model_, std::move(never_drawn));
  }

  /// log p of the token behind each position of `ids`, [T][V].
  std::vector<std::vector<float>> whole(std::vector<std::uint32_t> ids) {
    const std::size_t n = ids.size();
    ids.resize(static_cast<std::size_t>(whole_), 0);
    models::set_inputs(*runtime_, index_, models::token_words(model_, ids, heads::LossUse::kValue));
    runtime_->submit({index_});
    const std::vector<float> all = runtime_->read(index_, log_probs_);
    std::vector<std::vector<float>> rows;
    const auto V = model_.head().vocabulary();
    for (std::size_t t = 0; t < n; ++t)
      rows.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(t) * V,
                        all.begin() + static_cast<std::ptrdiff_t>(t + 1) * V);
    return rows;
  }

  Session& session() { return *session_; }
  const models::LanguageModel& model() const { return model_; }
  std::uint64_t submissions() const { return test::device().submissions(); }

 private:
  models::LanguageModel model_;
  std::int64_t whole_;
  graph::Value log_probs_;
  std::size_t index_ = 0;
  std::optional<graph::Runtime> runtime_;
  std::optional<Session> session_;
};

inline double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(double(a[i]) - double(b[i])));
  return worst;
}

struct Kind {
  std::string name;
  ModelConfig config;
};
inline std::vector<Kind> kinds() {
  using F = ModelFamily;
  using H = HeadKind;
  using M = HeadModulation;
  return {{"gpt2_full", config_of(F::kGpt2, H::kFull)},
          {"gpt_neo_full", config_of(F::kGptNeo, H::kFull)},
          {"gpt2_fused", config_of(F::kGpt2, H::kFused)},
          {"gpt2_grouped", config_of(F::kGpt2, H::kGrouped)},
          {"gpt_neo_low_rank", config_of(F::kGptNeo, H::kGrouped, M::kLowRank)},
          {"gpt2_per_group", config_of(F::kGpt2, H::kGrouped, M::kPerGroup)},
          {"gpt2_adaptive", config_of(F::kGpt2, H::kAdaptive)},
          {"gpt2_class_input", with_class_input(config_of(F::kGpt2, H::kGrouped))},
          {"llama_class_input_per_group", with_class_input(config_of(F::kLlama, H::kGrouped, M::kPerGroup))},
          {"gpt_neo_class_input_adaptive", with_class_input(config_of(F::kGptNeo, H::kAdaptive))},
          {"llama_full", config_of(F::kLlama, H::kFull)},
          {"llama_grouped", config_of(F::kLlama, H::kGrouped)}};
}

}  // namespace fabula::infer
