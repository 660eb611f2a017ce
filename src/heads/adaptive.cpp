#include "heads/adaptive.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "heads/labels.hpp"
#include "heads/product.hpp"
#include "heads/unigram.hpp"

namespace fabula::heads {
using graph::DType;
using graph::Graph;
using graph::Value;

namespace {
constexpr const char* kHeadWeight = "lm_head.head.weight";
constexpr const char* kHeadBias = "lm_head.head.bias";
constexpr const char* kClasses = "head.classes";  // [1, N]: the label's class
constexpr const char* kAlone = "head.alone";      // [1, N] floats: 1 where the label is in the shortlist
// Constants.
constexpr const char* kStarts = "head.starts";    // [1, clusters + 1]: TokenGroups::starts
constexpr const char* kEntries = "head.entries";  // [1, 2 V]: TokenGroups::entries
std::string tail_name(std::size_t cluster, const char* part) {
  return fmt::format("lm_head.tail.{}.{}", cluster, part);
}
/// Inputs of a cluster. "labels" [1, N]: the label's slot in it, ignored where the label is elsewhere. With gradients
/// the positions whose labels lie in it come first: "order" and "inverse" [1, N], "count" [1, 1] of them.
std::string input_name(std::size_t cluster, const char* part) {
  return fmt::format("head.tail.{}.{}", cluster, part);
}
}  // namespace

AdaptiveHead::AdaptiveHead(TokenGroups tokens, Options options)
    : tokens_(std::move(tokens)), options_(std::move(options)) {
  if (options_.hidden < 1 || options_.projections.size() != clusters())
    fail(ErrorCode::kInvalidArgument, "adaptive head: hidden size {} and {} projections for {} clusters",
         options_.hidden, options_.projections.size(), clusters());
  const LevelLogProbs start = level_log_probs(tokens_, options_.counts);
  const auto matrix = [&](std::string name, std::int64_t rows, std::int64_t cols) {
    parameters_.add({.name = std::move(name), .shape = {rows, cols}, .is_weight = true, .init_std = options_.init_std});
  };
  matrix(kHeadWeight, tokens_.classes(), options_.hidden);
  if (options_.bias) parameters_.add(bias_spec(kHeadBias, start.classes, tokens_.classes()));
  std::size_t first = 0;
  for (std::size_t i = 0; i < clusters(); ++i) {
    const auto n = static_cast<std::size_t>(size(i));
    matrix(tail_name(i, "0.weight"), options_.projections[i], options_.hidden);
    matrix(tail_name(i, "1.weight"), size(i), options_.projections[i]);
    if (options_.bias) {
      const std::span<const double> within(start.within);
      parameters_.add(bias_spec(tail_name(i, "1.bias"), within.empty() ? within : within.subspan(first, n), size(i)));
    }
    first += n;
  }
  if (options_.class_input) input_classes_ = {&parameters_.find(kHeadWeight), tokens_.input_rows(tokens_.shortlist())};
  options_.counts = {};
}

AdaptiveHead::Parts AdaptiveHead::parts() const {
  const auto bias = [&](const std::string& name) { return options_.bias ? &parameters_.find(name) : nullptr; };
  Parts parts{&parameters_.find(kHeadWeight), bias(kHeadBias), {}};
  for (std::size_t i = 0; i < clusters(); ++i)
    parts.tails.push_back({&parameters_.find(tail_name(i, "0.weight")), &parameters_.find(tail_name(i, "1.weight")),
                           bias(tail_name(i, "1.bias"))});
  return parts;
}

std::string AdaptiveHead::describe() const {
  std::string cutoffs;
  std::int64_t begin = tokens_.shortlist();
  for (std::size_t i = 0; i < clusters(); begin += size(i++)) cutoffs += fmt::format(" {}", begin);
  return fmt::format("{}, cutoffs{}{}{}", head_kind_name(kind()), cutoffs, options_.bias ? ", bias" : "",
                     options_.class_input ? ", class vectors at the input" : "");
}
std::int64_t AdaptiveHead::logits() const {
  return tokens_.vocabulary() + static_cast<std::int64_t>(clusters());  // all clusters; training leaves out most
}

std::optional<double> AdaptiveHead::mean_logits() const {
  const std::optional<double> slots = mean_slots(tokens_.map());
  return slots ? std::optional(static_cast<double>(tokens_.classes()) + *slots) : std::nullopt;
}

Value AdaptiveHead::class_scores(Graph& graph, const Hidden& h) const {
  const Value bias = options_.bias ? parameters_.in(graph, kHeadBias) : Value{};
  return scores(graph, h, parameters_.find(kHeadWeight), bias);
}
Value AdaptiveHead::projected(Graph& graph, const Hidden& h, std::size_t cluster) const {
  return product(graph, h, parameters_.find(tail_name(cluster, "0.weight")));
}
const graph::ParameterSpec& AdaptiveHead::tail_weight(std::size_t cluster) const {
  return parameters_.find(tail_name(cluster, "1.weight"));
}
Value AdaptiveHead::tail_bias(Graph& graph, std::size_t cluster) const {
  return options_.bias ? parameters_.in(graph, tail_name(cluster, "1.bias")) : Value{};
}

HeadLoss AdaptiveHead::loss(Graph& graph, Value h, LossUse use, Value scale) const {
  const Graph::Scope scope(graph, "head");
  const std::int64_t n = graph.shape(h).rows;
  const bool gradient = use == LossUse::kGradient;
  const Value classes = graph.input(kClasses, {1, n}, DType::kU32);
  const std::vector<Value> first = graph.op("cross_entropy", {class_scores(graph, h), classes});
  HeadLoss result{.group_loss = first[0], .group_correct = first[2]};
  if (gradient) result.mean = graph.op1("mean_loss", {first[0], scale});
  result.slot_correct = graph.input(kAlone, {1, n}, DType::kF32);
  for (std::size_t i = 0; i < clusters(); ++i) {
    const auto words = [&](const char* part, std::int64_t columns) {
      return graph.input(input_name(i, part), {1, columns}, DType::kU32);
    };
    Value narrow = projected(graph, h, i), count;
    if (gradient) {
      narrow = graph.op1("permute_rows", {narrow, words("order", n), words("inverse", n)});
      count = words("count", 1);
    }
    const Value weight = weights::matrix_of(tail_weight(i))->dense(graph, graph.shape(narrow).dtype);
    const std::vector<Value> tail =
        graph.op("fused_cross_entropy",
                 {narrow, weight, words("labels", n), tail_bias(graph, i), gradient ? scale : Value{}, count});
    if (gradient) result.mean = graph.op1("add", {result.mean, tail[0]});
    result.slot_loss = i == 0 ? tail[1] : graph.op1("add", {result.slot_loss, tail[1]});
    result.slot_correct = graph.op1("add", {result.slot_correct, tail[2]});
  }
  result.loss = graph.op1("add", {result.group_loss, result.slot_loss});
  return result;
}

std::vector<NamedWords> AdaptiveHead::batch_inputs(std::span<const std::uint32_t> labels, LossUse use) const {
  check_labels(labels, vocabulary());
  NamedWords classes{kClasses, {}}, alone{kAlone, {}};
  std::vector<GroupTarget> targets;
  for (const std::uint32_t label : labels) {
    targets.push_back(tokens_.target(label));
    classes.words.push_back(tokens_.class_of(label));
    const bool is_alone = label != kIgnoredLabel && targets.back().group == kIgnoredLabel;
    alone.words.push_back(std::bit_cast<std::uint32_t>(is_alone ? 1.0f : 0.0f));
  }
  std::vector<NamedWords> inputs{std::move(classes), std::move(alone)};
  for (std::size_t i = 0; i < clusters(); ++i) {
    const auto is_here = [&](std::uint32_t n) { return targets[n].group == i; };
    std::vector<std::uint32_t> order(labels.size()), inverse(labels.size()), slots;
    std::iota(order.begin(), order.end(), 0u);
    std::uint32_t count = 0;
    if (use == LossUse::kGradient)
      count = static_cast<std::uint32_t>(std::stable_partition(order.begin(), order.end(), is_here) - order.begin());
    for (std::uint32_t at = 0; at < order.size(); ++at) {
      inverse[order[at]] = at;
      slots.push_back(is_here(order[at]) ? targets[order[at]].slot : kIgnoredLabel);
    }
    inputs.push_back({input_name(i, "labels"), std::move(slots)});
    if (use != LossUse::kGradient) continue;
    inputs.push_back({input_name(i, "order"), std::move(order)});
    inputs.push_back({input_name(i, "inverse"), std::move(inverse)});
    inputs.push_back({input_name(i, "count"), {count}});
  }
  return inputs;
}

Value AdaptiveHead::log_probs(Graph& graph, const Hidden& h) const {
  const Graph::Scope scope(graph, "head");
  const Value starts = graph.constant(kStarts, {1, static_cast<std::int64_t>(clusters()) + 1, DType::kU32});
  const Value entries = graph.constant(kEntries, {1, 2 * tokens_.vocabulary(), DType::kU32});
  const Value classes = graph.op1("log_softmax", {class_scores(graph, h)});
  std::vector<Value> tails;
  for (std::size_t i = 0; i < clusters(); ++i)
    tails.push_back(scores(graph, h.with(projected(graph, h, i)), tail_weight(i), tail_bias(graph, i)));
  const Value z = tails.size() == 1 ? tails.front() : graph.op("concat_columns", std::span<const Value>(tails)).front();
  return graph.op1("grouped_log_softmax", {classes, z, starts, entries});
}

std::vector<NamedWords> AdaptiveHead::constants() const {
  return {{kStarts, tokens_.starts()}, {kEntries, tokens_.entries()}};
}

}  // namespace fabula::heads
