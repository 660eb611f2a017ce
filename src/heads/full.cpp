#include "heads/full.hpp"

#include "heads/labels.hpp"
#include "heads/product.hpp"
#include "heads/unigram.hpp"

namespace fabula::heads {
using graph::DType;
using graph::Graph;
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
  if (!options_.tied) {
    parameters_.add({.name = kWeight,
                     .shape = {options_.vocabulary, options_.hidden},
                     .is_weight = true,
                     .rows = graph::RowsOf::kTokens,
                     .init_std = options_.init_std});
  }
  if (options_.bias) {
    graph::ParameterSpec bias = bias_spec(kBias, unigram_log_probs(options_.counts), options_.vocabulary);
    bias.rows = graph::RowsOf::kTokens;
    parameters_.add(std::move(bias));
  }
  options_.counts = {};
}

std::string FullHead::describe() const {
  return fmt::format("{}{}{}", head_kind_name(kind()), options_.tied ? ", tied" : "", options_.bias ? ", bias" : "");
}

const graph::ParameterSpec& FullHead::weight() const {
  return options_.tied ? options_.embedding : parameters_.find(kWeight);
}
Value FullHead::bias(Graph& graph) const {
  return options_.bias ? parameters_.in(graph, kBias) : Value{};
}
Value FullHead::logits(Graph& graph, const Hidden& h) const {
  return scores(graph, h, weight(), bias(graph));
}

HeadLoss FullHead::loss(Graph& graph, Value h, LossUse use, Value scale) const {
  const Graph::Scope scope(graph, "head");
  const Value labels = graph.input(kLabels, {1, graph.shape(h).rows}, DType::kU32);
  const bool gradient = use == LossUse::kGradient;
  if (options_.fused) {
    const Value matrix = weights::matrix_of(weight())->dense(graph, graph.shape(h).dtype);
    const std::vector<Value> result =
        graph.op("fused_cross_entropy", {h, matrix, labels, bias(graph), gradient ? scale : Value{}});
    return {.mean = gradient ? result[0] : Value{}, .loss = result[1], .token_correct = result[2]};
  }
  const std::vector<Value> result = graph.op("cross_entropy", {logits(graph, h), labels});
  return {.mean = gradient ? graph.op1("mean_loss", {result[0], scale}) : Value{},
          .loss = result[0],
          .token_correct = result[2]};
}

std::vector<NamedWords> FullHead::batch_inputs(std::span<const std::uint32_t> labels, LossUse) const {
  check_labels(labels, options_.vocabulary);
  return {{kLabels, {labels.begin(), labels.end()}}};
}

Value FullHead::log_probs(Graph& graph, const Hidden& h) const {
  const Graph::Scope scope(graph, "head");
  return graph.op1("log_softmax", {logits(graph, h)});
}

}  // namespace fabula::heads
