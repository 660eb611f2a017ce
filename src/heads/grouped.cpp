#include "heads/grouped.hpp"

#include "heads/labels.hpp"

namespace fabula::heads {
using graph::DType;
using graph::Graph;
using graph::Init;
using graph::ParameterSpec;
using graph::Shape;
using graph::Value;

namespace {
constexpr const char* kGroupWeight = "lm_head.group.weight";
constexpr const char* kGroupBias = "lm_head.group.bias";
constexpr const char* kSharedWeight = "lm_head.shared.weight";
constexpr const char* kSharedBias = "lm_head.shared.bias";
constexpr const char* kScale = "lm_head.scale";
constexpr const char* kShift = "lm_head.shift";

constexpr const char* kGroups = "head.groups";    // [1, N]: the label's group
constexpr const char* kTargets = "head.targets";  // [1, 4 N]: GroupTarget of each position
constexpr const char* kPlan = "head.plan";        // [1, GroupPlanLayout::words]
constexpr const char* kSizes = "head.sizes";      // [1, G]
constexpr const char* kPlace = "head.place";      // [1, V]
}  // namespace

GroupedHead::GroupedHead(TokenGroups tokens, std::int64_t hidden, double init_std)
    : tokens_(std::move(tokens)), hidden_(hidden), init_std_(init_std) {
  if (hidden < 1) fail(ErrorCode::kInvalidArgument, "grouped head: hidden size {} must be at least 1", hidden);
}

std::vector<ParameterSpec> GroupedHead::parameters() const {
  const std::int64_t g = tokens_.groups(), s = tokens_.slots();
  return {{.name = kGroupWeight, .shape = {g, hidden_}, .init_std = init_std_},
          {.name = kGroupBias, .shape = {1, g}, .init = Init::kZeros, .decay = false},
          {.name = kSharedWeight, .shape = {s, hidden_}, .init_std = init_std_},
          {.name = kSharedBias, .shape = {1, s}, .init = Init::kZeros, .decay = false},
          {.name = kScale, .shape = {g, s}, .init = Init::kOnes, .decay = false},
          {.name = kShift, .shape = {g, s}, .init = Init::kZeros, .decay = false}};
}

Value GroupedHead::group_logits(Graph& graph, Value h) const {
  const Value weight = graph.parameter(kGroupWeight, {tokens_.groups(), hidden_});
  return graph.op1("matmul", {h, weight, graph.parameter(kGroupBias, {1, tokens_.groups()})}, {{"transpose_b", 1}});
}

Value GroupedHead::shared_logits(Graph& graph, Value h) const {
  const Value weight = graph.parameter(kSharedWeight, {tokens_.slots(), hidden_});
  return graph.op1("matmul", {h, weight, graph.parameter(kSharedBias, {1, tokens_.slots()})}, {{"transpose_b", 1}});
}

HeadLoss GroupedHead::loss(Graph& graph, Value h, LossUse use) const {
  const Graph::Scope scope(graph, "head");
  const std::int64_t n = graph.shape(h).rows;
  const Shape table{tokens_.groups(), tokens_.slots()};
  const Value groups = graph.input(kGroups, {1, n}, DType::kU32);
  const Value targets = graph.input(kTargets, {1, 4 * n}, DType::kU32);
  Value plan;
  if (use == LossUse::kGradient)
    plan = graph.input(kPlan, {1, GroupPlanLayout(n, tokens_.groups()).words}, DType::kU32);

  const std::vector<Value> first = graph.op("cross_entropy", {group_logits(graph, h), groups});
  const std::vector<Value> second = graph.op(
      "grouped_cross_entropy",
      {shared_logits(graph, h), graph.parameter(kScale, table), graph.parameter(kShift, table), targets, plan});
  return {.loss = graph.op1("add", {first[0], second[0]}),
          .token_correct = {},
          .group_loss = first[0],
          .slot_loss = second[0],
          .group_correct = first[2],
          .slot_correct = second[2]};
}

std::vector<InputWords> GroupedHead::batch_inputs(std::span<const std::uint32_t> labels, LossUse use) const {
  check_labels(labels, vocabulary());
  std::vector<GroupTarget> targets;
  InputWords groups{kGroups, {}}, target_words{kTargets, {}};
  targets.reserve(labels.size());
  groups.words.reserve(labels.size());
  target_words.words.reserve(4 * labels.size());
  for (std::uint32_t label : labels) {
    const GroupTarget target = tokens_.target(label);
    targets.push_back(target);
    groups.words.push_back(target.group);
    target_words.words.insert(target_words.words.end(), {target.group, target.slot, target.slots, 0});
  }
  std::vector<InputWords> inputs{std::move(groups), std::move(target_words)};
  if (use == LossUse::kGradient) {
    inputs.push_back({kPlan, make_group_plan(targets, static_cast<std::uint32_t>(tokens_.groups()))});
  }
  return inputs;
}

Value GroupedHead::log_probs(Graph& graph, Value h) const {
  const Graph::Scope scope(graph, "head");
  const Shape table{tokens_.groups(), tokens_.slots()};
  const Value sizes = graph.input(kSizes, {1, tokens_.groups()}, DType::kU32);
  const Value place = graph.input(kPlace, {1, vocabulary()}, DType::kU32);
  return graph.op1("grouped_log_probs", {group_logits(graph, h), shared_logits(graph, h),
                                         graph.parameter(kScale, table), graph.parameter(kShift, table), sizes, place});
}

std::vector<InputWords> GroupedHead::decode_inputs() const {
  const auto sizes = tokens_.sizes(), place = tokens_.place();
  return {{kSizes, {sizes.begin(), sizes.end()}}, {kPlace, {place.begin(), place.end()}}};
}

}  // namespace fabula::heads
