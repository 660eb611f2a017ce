#include "heads/grouped.hpp"

#include <bit>
#include <cmath>

#include "base/segments.hpp"
#include "heads/labels.hpp"
#include "heads/product.hpp"
#include "heads/unigram.hpp"
#include "ops/storage.hpp"

namespace fabula::heads {
using graph::DType;
using graph::Graph;
using graph::Init;
using graph::Shape;
using graph::Value;

namespace {
constexpr const char* kGroupWeight = "lm_head.group.weight";
constexpr const char* kGroupBias = "lm_head.group.bias";
constexpr const char* kSharedWeight = "lm_head.shared.weight";
constexpr const char* kSharedBias = "lm_head.shared.bias";
constexpr const char* kScale = "lm_head.scale";
constexpr const char* kShift = "lm_head.shift";
constexpr const char* kDown = "lm_head.low_rank.down.weight";
constexpr const char* kUp = "lm_head.low_rank.up.weight";
constexpr const char* kTokenWeight = "lm_head.token.weight";

constexpr const char* kClasses = "head.classes";         // [1, N]: the label's class
constexpr const char* kTargets = "head.targets";         // [1, 4 N]: GroupTarget of each position
constexpr const char* kPlan = "head.plan";               // [1, GroupPlanLayout::words]
constexpr const char* kSlots = "head.slots";             // [1, N]: the label's slot
constexpr const char* kSlotCounts = "head.slot_counts";  // [1, N]: real slots of the label's group
constexpr const char* kAlone = "head.alone";             // [1, N] floats: 1 where the label is in the shortlist

// Constants.
constexpr const char* kRows = "head.rows";            // [1, G S]: where each slot's row of weights is
constexpr const char* kShortlist = "head.shortlist";  // [1, K]: token ids
constexpr const char* kShortOrder = "head.shortlist_order";
constexpr const char* kShortSegments = "head.shortlist_segments";
constexpr const char* kStarts = "head.starts";    // [1, G + 1]: TokenGroups::starts
constexpr const char* kEntries = "head.entries";  // [1, 2 V]: TokenGroups::entries
constexpr const char* kMembers = "head.members";  // [1, 2 V]: tokens class by class, and the logits' column
constexpr const char* kPlaces = "head.places";    // [1, 2 M]: g S + s and the logits' column, in map order
}  // namespace

GroupedHead::GroupedHead(TokenGroups tokens, Options options)
    : tokens_(std::move(tokens)), options_(std::move(options)) {
  if (options_.hidden < 1)
    fail(ErrorCode::kInvalidArgument, "grouped head: hidden size {} must be at least 1", options_.hidden);
  if (options_.class_input && options_.prototypes > 1)
    fail(ErrorCode::kInvalidArgument, "grouped head: of {} prototypes a group none can be added to the input",
         options_.prototypes);
  declare_parameters();
  if (options_.class_input)
    input_classes_ = {&parameters_.find(kGroupWeight), tokens_.input_rows(tied_shortlist() ? 0 : tokens_.shortlist())};
  options_.counts = {};
}

void GroupedHead::declare_parameters() {
  const std::int64_t K = tokens_.shortlist(), G = tokens_.groups(), S = tokens_.slots(), D = options_.hidden;
  const std::int64_t c = options_.prototypes;
  const LevelLogProbs start = level_log_probs(tokens_, options_.counts);
  const auto matrix = [&](const char* name, std::int64_t rows, std::int64_t cols) {
    parameters_.add({.name = name, .shape = {rows, cols}, .is_weight = true, .init_std = options_.init_std});
  };
  matrix(kGroupWeight, (tied_shortlist() ? 0 : K) + G * c, D);
  std::vector<double> group_bias;
  for (std::size_t i = 0; i < start.classes.size(); ++i) {
    const bool in_shortlist = static_cast<std::int64_t>(i) < K;  // a group's prototypes share its probability
    group_bias.insert(group_bias.end(), in_shortlist ? 1 : static_cast<std::size_t>(c),
                      start.classes[i] - (in_shortlist ? 0 : std::log(static_cast<double>(c))));
  }
  parameters_.add(bias_spec(kGroupBias, group_bias, K + G * c));
  if (shares_slots()) {
    matrix(kSharedWeight, S, D);
    parameters_.add(bias_spec(kSharedBias, {}, S));
    parameters_.add({.name = kScale, .shape = {G, S}, .init = Init::kOnes, .decay = false});
  } else if (!options_.tied) {
    matrix(kTokenWeight, tokens_.tail(), D);
  }
  std::vector<double> shift;
  if (!start.within.empty()) {
    shift.assign(static_cast<std::size_t>(G * S), 0);
    for (std::int64_t g = 0; g < G; ++g)
      for (std::int64_t s = 0; s < S; ++s)
        if (const std::uint32_t v = tokens_.token(g, s); v != TokenGroups::kNone)
          shift[static_cast<std::size_t>(g * S + s)] = start.within[tokens_.order_of(v)];
  }
  graph::ParameterSpec table = bias_spec(kShift, shift, G * S);
  table.shape = {G, S};
  table.is_vector = false;
  parameters_.add(std::move(table));
  if (options_.modulation == HeadModulation::kLowRank) {
    matrix(kDown, options_.rank, D);
    matrix(kUp, tokens_.tail(), options_.rank);
  }
}

GroupedHead::OfMap GroupedHead::of_map() const {
  const bool own_rows = options_.modulation == HeadModulation::kPerGroup && !options_.tied;
  return {parameters_.find(kGroupWeight), parameters_.find(kGroupBias), parameters_.find(kShift),
          own_rows ? &parameters_.find(kTokenWeight) : nullptr};
}

std::string GroupedHead::describe() const {
  std::string text = fmt::format("{} {}", head_kind_name(kind()), modulation_name(options_.modulation));
  if (options_.modulation == HeadModulation::kLowRank) text += fmt::format(" {}", options_.rank);
  if (tokens_.shortlist() > 0) text += fmt::format(", shortlist {}", tokens_.shortlist());
  text += fmt::format(", {} groups of {}{}, {}", tokens_.groups(), options_.by_mass ? "up to " : "", tokens_.slots(),
                      options_.map);
  if (options_.by_mass) text += ", by mass";
  if (options_.prototypes > 1) text += fmt::format(", {} prototypes", options_.prototypes);
  if (options_.class_input) text += ", class vectors at the input";
  return text + (options_.tied ? ", tied" : "");
}
std::int64_t GroupedHead::logits() const {
  const std::int64_t rank = options_.modulation == HeadModulation::kLowRank ? options_.rank : 0;
  return tokens_.shortlist() + tokens_.groups() * options_.prototypes + tokens_.slots() + rank;
}

std::optional<double> GroupedHead::mean_logits() const {
  if (shares_slots()) return static_cast<double>(logits());
  const std::optional<double> slots = mean_slots(tokens_.map());
  return slots ? std::optional(static_cast<double>(logits() - tokens_.slots()) + *slots) : std::nullopt;
}

Value GroupedHead::class_scores(Graph& graph, const Hidden& h, LossUse use) const {
  const std::int64_t K = tokens_.shortlist(), c = options_.prototypes;
  const auto matrix = weights::matrix_of(parameters_.find(kGroupWeight));
  weights::Operand weight = tied_shortlist() ? matrix->as_dense(graph, DType::kF32) : matrix->operand(graph, h);
  if (tied_shortlist()) {
    const auto embedding = weights::matrix_of(options_.embedding);
    const Value ids = graph.constant(kShortlist, {1, K, DType::kU32});
    Value order, segments;
    if (use == LossUse::kGradient) {
      order = graph.constant(kShortOrder, {1, K, DType::kU32});
      segments = graph.constant(kShortSegments, {1, SegmentCapacity{K, tokens_.vocabulary()}.words(), DType::kU32});
    }
    const Value all = graph.op1("concat_rows", {embedding->rows(graph, {ids, order, segments}), weight.values});
    weight.values = ops::cast_to(graph, all, graph.shape(h.x).dtype);
  }
  const Value all = weights::product(graph, h, weight, {.bias = parameters_.in(graph, kGroupBias), .fp32 = true});
  if (c == 1) return all;
  return graph.op1("prototype_scores", {all}, {{"plain", double(K)}, {"prototypes", double(c)}});
}

Value GroupedHead::shared_logits(Graph& graph, const Hidden& h) const {
  return scores(graph, h, parameters_.find(kSharedWeight), parameters_.in(graph, kSharedBias));
}
Value GroupedHead::low_rank_vector(Graph& graph, const Hidden& h) const {
  return scores(graph, h, parameters_.find(kDown));
}
const graph::ParameterSpec& GroupedHead::token_matrix() const {
  return tied_tokens() ? options_.embedding : parameters_.find(kTokenWeight);
}
Value GroupedHead::table(Graph& graph, const char* name) const {
  return parameters_.in(graph, name);
}

GroupedHead::SlotLoss GroupedHead::slot_loss(Graph& graph, Value h, LossUse use, Value scale) const {
  const std::int64_t n = graph.shape(h).rows, G = tokens_.groups();
  const graph::Attrs groups{{"groups", double(G)}};
  Value plan, rows, targets;
  if (has_plan(use)) plan = graph.input(kPlan, {1, GroupPlanLayout(n, G, plan_slots()).words}, DType::kU32);
  if (options_.modulation != HeadModulation::kScaleShift)
    rows = graph.constant(kRows, {1, G * tokens_.slots(), DType::kU32});
  if (shares_slots()) targets = graph.input(kTargets, {1, 4 * n}, DType::kU32);
  Value z;
  switch (options_.modulation) {
    case HeadModulation::kScaleShift: {
      const std::vector<Value> result =
          graph.op("grouped_cross_entropy",
                   {shared_logits(graph, h), table(graph, kScale), table(graph, kShift), targets, plan});
      return {result[0], result[2]};
    }
    case HeadModulation::kLowRank: {
      const Value up = weights::matrix_of(parameters_.find(kUp))->dense(graph);
      const Value product = graph.op1("grouped_matmul", {low_rank_vector(graph, h), up, rows, Value{}, plan}, groups);
      z = graph.op1("group_affine",
                    {shared_logits(graph, h), table(graph, kScale), table(graph, kShift), targets, plan, product});
      break;
    }
    case HeadModulation::kPerGroup: {
      const std::vector<Value> result =
          graph.op("fused_grouped_cross_entropy",
                   {ops::cast_to(graph, h, DType::kF32), weights::matrix_of(token_matrix())->dense(graph), rows,
                    table(graph, kShift), plan, use == LossUse::kGradient ? scale : Value{}});
      return {result[1], result[2], result[0]};
    }
  }
  const std::vector<Value> result = graph.op(
      "cross_entropy", {z, graph.input(kSlots, {1, n}, DType::kU32), graph.input(kSlotCounts, {1, n}, DType::kU32)});
  return {result[0], result[2]};
}

HeadLoss GroupedHead::loss(Graph& graph, Value h, LossUse use, Value scale) const {
  const Graph::Scope scope(graph, "head");
  const std::int64_t n = graph.shape(h).rows;
  const Value classes = graph.input(kClasses, {1, n}, DType::kU32);
  const std::vector<Value> first = graph.op("cross_entropy", {class_scores(graph, h, use), classes});
  SlotLoss second = slot_loss(graph, h, use, scale);
  if (tokens_.shortlist() > 0)
    second.correct = graph.op1("add", {second.correct, graph.input(kAlone, {1, n}, DType::kF32)});
  HeadLoss result{.loss = graph.op1("add", {first[0], second.loss}),
                  .group_loss = first[0],
                  .slot_loss = second.loss,
                  .group_correct = first[2],
                  .slot_correct = second.correct};
  if (use != LossUse::kGradient) return result;
  if (second.mean)
    result.mean = graph.op1("add", {graph.op1("mean_loss", {first[0], scale}), second.mean});
  else
    result.mean = graph.op1("mean_loss", {result.loss, scale});
  return result;
}

std::vector<NamedWords> GroupedHead::batch_inputs(std::span<const std::uint32_t> labels, LossUse use) const {
  check_labels(labels, vocabulary());
  std::vector<GroupTarget> targets;
  NamedWords classes{kClasses, {}}, target_words{kTargets, {}}, slots{kSlots, {}}, counts{kSlotCounts, {}};
  NamedWords alone{kAlone, {}};
  targets.reserve(labels.size());
  const bool low_rank = options_.modulation == HeadModulation::kLowRank;
  for (const std::uint32_t label : labels) {
    const GroupTarget target = tokens_.target(label);
    targets.push_back(target);
    classes.words.push_back(tokens_.class_of(label));
    if (shares_slots())
      target_words.words.insert(target_words.words.end(), {target.group, target.slot, target.slots, 0});
    if (low_rank) {
      slots.words.push_back(target.group == kIgnoredLabel ? kIgnoredLabel : target.slot);
      counts.words.push_back(target.slots);
    }
    const bool is_alone = label != kIgnoredLabel && target.group == kIgnoredLabel;
    alone.words.push_back(std::bit_cast<std::uint32_t>(is_alone ? 1.0f : 0.0f));
  }
  std::vector<NamedWords> inputs{std::move(classes)};
  if (shares_slots()) inputs.push_back(std::move(target_words));
  if (low_rank) {
    inputs.push_back(std::move(slots));
    inputs.push_back(std::move(counts));
  }
  if (tokens_.shortlist() > 0) inputs.push_back(std::move(alone));
  if (has_plan(use)) {
    inputs.push_back({kPlan, make_group_plan(targets, static_cast<std::uint32_t>(tokens_.groups()),
                                             static_cast<std::uint32_t>(plan_slots()))});
  }
  return inputs;
}

Value GroupedHead::log_probs(Graph& graph, const Hidden& h) const {
  const Graph::Scope scope(graph, "head");
  const std::int64_t V = tokens_.vocabulary(), M = tokens_.tail();
  const Value starts = graph.constant(kStarts, {1, tokens_.groups() + 1, DType::kU32});
  const Value classes = class_scores(graph, h, LossUse::kValue);
  Value shared, scale, of_tokens;
  if (shares_slots()) {
    shared = shared_logits(graph, h);
    scale = table(graph, kScale);
  }
  if (options_.modulation == HeadModulation::kLowRank)
    of_tokens = product(graph, h.with(low_rank_vector(graph, h)), parameters_.find(kUp));
  if (options_.modulation == HeadModulation::kPerGroup) of_tokens = product(graph, h, token_matrix());
  const Value shift = table(graph, kShift);
  if (h.places) {
    const Value members = graph.constant(kMembers, {1, 2 * V, DType::kU32});
    return graph.op1("grouped_joint", {classes, shared, scale, shift, of_tokens, starts, members});
  }
  const Value places = graph.constant(kPlaces, {1, 2 * M, DType::kU32});
  const Value z = graph.op1("grouped_all_logits", {shared, scale, shift, of_tokens, places});
  const Value entries = graph.constant(kEntries, {1, 2 * V, DType::kU32});
  return graph.op1("grouped_log_softmax", {graph.op1("log_softmax", {classes}), z, starts, entries});
}

std::vector<NamedWords> GroupedHead::constants() const {
  NamedWords places{kPlaces, {}}, members{kMembers, {}};
  for (const std::uint32_t token : tokens_.map().shortlist) members.words.insert(members.words.end(), {token, 0});
  const auto S = static_cast<std::uint32_t>(tokens_.slots());
  for (std::size_t g = 0; g < tokens_.map().groups.size(); ++g) {
    std::uint32_t at = static_cast<std::uint32_t>(g) * S;
    for (const std::uint32_t token : tokens_.map().groups[g]) {
      const std::uint32_t column = tied_tokens() ? token : tokens_.order_of(token);
      places.words.insert(places.words.end(), {at++, column});
      members.words.insert(members.words.end(), {token, column});
    }
  }
  std::vector<NamedWords> constants{
      {kStarts, tokens_.starts()}, {kEntries, tokens_.entries()}, std::move(places), std::move(members)};
  if (options_.modulation != HeadModulation::kScaleShift)
    constants.push_back({kRows, tied_tokens() ? tokens_.slot_tokens() : tokens_.slot_orders()});
  if (!tied_shortlist()) return constants;
  constants.push_back({kShortlist, tokens_.map().shortlist});
  SegmentPlan plan = plan_segments(tokens_.map().shortlist, tokens_.vocabulary());
  constants.push_back({kShortOrder, std::move(plan.order)});
  constants.push_back({kShortSegments, std::move(plan.segments)});
  return constants;
}

}  // namespace fabula::heads
