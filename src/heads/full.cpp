#include "heads/full.hpp"

#include "heads/labels.hpp"

namespace fabula::heads {
using graph::DType;
using graph::Graph;
using graph::ParameterSpec;
using graph::Shape;
using graph::Value;

namespace {
constexpr const char* kWeight = "lm_head.weight";
constexpr const char* kBias = "lm_head.bias";
constexpr const char* kLabels = "head.labels";
}  // namespace

FullHead::FullHead(Options options) : options_(std::move(options)) {
  if (options_.vocabulary < 1 || options_.hidden < 1) {
    fail(ErrorCode::kInvalidArgument, "full head: vocab_size {} and hidden size {} must be at least 1",
         options_.vocabulary, options_.hidden);
  }
}

std::vector<ParameterSpec> FullHead::parameters() const {
  const std::int64_t v = options_.vocabulary;
  std::vector<ParameterSpec> specs;
  if (!options_.tied) specs.push_back({.name = kWeight, .shape = {v, options_.hidden}, .init_std = options_.init_std});
  if (options_.bias) specs.push_back({.name = kBias, .shape = {1, v}, .init = graph::Init::kZeros, .decay = false});
  return specs;
}

Value FullHead::logits(Graph& graph, Value h) const {
  const Shape matrix{options_.vocabulary, options_.hidden};
  const Value weight = graph.parameter(options_.tied ? options_.embedding : kWeight, matrix);
  const Value bias = options_.bias ? graph.parameter(kBias, {1, options_.vocabulary}) : Value{};
  return graph.op1("matmul", {h, weight, bias}, {{"transpose_b", 1}});
}

HeadLoss FullHead::loss(Graph& graph, Value h, LossUse) const {
  const Graph::Scope scope(graph, "head");
  const Value labels = graph.input(kLabels, {1, graph.shape(h).rows}, DType::kU32);
  const std::vector<Value> result = graph.op("cross_entropy", {logits(graph, h), labels});
  return {.loss = result[0], .token_correct = result[2]};
}

std::vector<InputWords> FullHead::batch_inputs(std::span<const std::uint32_t> labels, LossUse) const {
  check_labels(labels, options_.vocabulary);
  return {{kLabels, {labels.begin(), labels.end()}}};
}

Value FullHead::log_probs(Graph& graph, Value h) const {
  const Graph::Scope scope(graph, "head");
  return graph.op1("log_softmax", {logits(graph, h)});
}

}  // namespace fabula::heads
