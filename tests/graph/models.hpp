#pragma once
#include <string>
#include <vector>

#include "base/philox.hpp"
#include "models/loss_graph.hpp"

// Small whole models for tests of the graph layer, and what is asked of a graph.
namespace fabula::test {

inline ModelConfig small_config(HeadKind head, bool tied = true) {
  ModelConfig config;
  config.vocab_size = 143;
  config.n_positions = 24;
  config.hidden = 20;
  config.layers = 2;
  config.heads = 2;
  config.attn_dropout = 0;
  config.tie_word_embeddings = head == HeadKind::kFull && tied;
  config.head.kind = head;
  return config;
}

inline std::size_t count_nodes(const graph::Graph& graph, std::string_view op) {
  std::size_t count = 0;
  for (const graph::Node& node : graph.nodes()) count += node.op->def->name == op;
  return count;
}

/// What a gradient graph reads of the host, for one random batch.
inline std::vector<graph::RefTensor<double>> random_values(const graph::Graph& graph,
                                                           const models::LanguageModel& model, std::int64_t positions) {
  std::vector<graph::RefTensor<double>> values(graph.values().size());
  Philox random(11);
  for (std::size_t id = 0; id < values.size(); ++id) {
    const graph::ValueInfo& info = graph.values()[id];
    if (info.producer >= 0) continue;
    values[id] = graph::RefTensor<double>(info.shape);
    for (double& x : values[id].f) x = 0.2 * random.normal();
  }
  std::vector<std::uint32_t> ids(static_cast<std::size_t>(positions)), labels(ids.size());
  const auto vocabulary = static_cast<std::uint32_t>(model.config().vocab_size);
  for (std::size_t n = 0; n < ids.size(); ++n) ids[n] = random.below(vocabulary), labels[n] = random.below(vocabulary);
  for (const heads::NamedWords& input : models::batch_words(model, ids, labels, heads::LossUse::kGradient).inputs)
    graph::set_words(values[static_cast<std::size_t>(graph.find(input.name).id)], input.words);
  for (const heads::NamedWords& constant : model.constants())
    if (const graph::Value value = graph.find(constant.name))
      graph::set_words(values[static_cast<std::size_t>(value.id)], constant.words);
  return values;
}

}  // namespace fabula::test
