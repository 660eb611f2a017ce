// The heads as mathematics: their graphs evaluated in double by the references, no device.
#include "heads/head.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "expect_error.hpp"
#include "heads/small_head.hpp"
#include "heads/token_groups.hpp"
#include "ops/op_table.hpp"

namespace fabula::heads {
namespace {
using graph::DType;
using graph::Graph;
using graph::RefTensor;
using graph::Value;
using test::expect_error;

/// A graph of a head with random parameters and hidden vectors.
class Evaluation {
 public:
  Evaluation(const Head& head, std::int64_t rows, bool tied = false)
      : head_(head), graph_(ops::op_table()), h_(graph_.parameter("h", {rows, kHidden})) {
    Philox random(17);
    fill("h", {rows, kHidden}, random);
    if (tied) fill("transformer.wte.weight", {head.vocabulary(), kHidden}, random);
    for (const graph::ParameterSpec& spec : head.parameters().specs()) fill(spec.name, spec.shape, random);
  }
  Graph& graph() { return graph_; }
  Value h() const { return h_; }
  std::map<std::string, std::vector<double>>& data() { return data_; }
  void set(const std::vector<NamedWords>& inputs) {
    for (const NamedWords& input : inputs) words_[input.name] = input.words;
  }
  void run() {
    values_.assign(graph_.values().size(), {});
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const graph::ValueInfo& info = graph_.values()[i];
      if (info.role == graph::Role::kActivation) continue;
      values_[i] = RefTensor<double>(info.shape);
      if (const auto words = words_.find(info.name); words != words_.end()) {
        ASSERT_EQ(words->second.size(), static_cast<std::size_t>(info.shape.count())) << info.name;
        graph::set_words(values_[i], words->second);
      } else {
        ASSERT_EQ(data_.at(info.name).size(), values_[i].f.size()) << info.name;
        values_[i].f = data_.at(info.name);
      }
    }
    graph::interpret(graph_, values_);
  }
  const std::vector<double>& operator[](Value value) const { return values_.at(static_cast<std::size_t>(value.id)).f; }

 private:
  void fill(const std::string& name, graph::Shape shape, Philox& random) {
    for (std::int64_t i = 0; i < shape.count(); ++i) data_[name].push_back(random.normal());
  }
  const Head& head_;
  Graph graph_;
  Value h_;
  std::map<std::string, std::vector<double>> data_;
  std::map<std::string, std::vector<std::uint32_t>> words_;
  std::vector<RefTensor<double>> values_;
};

std::vector<std::uint32_t> all_labels() {
  std::vector<std::uint32_t> labels;
  for (std::uint32_t v = 0; v < kVocabulary; ++v) labels.push_back(v);
  return labels;
}

struct Kind {
  const char* name;
  HeadKind kind;
  bool tied = false, bias = false;
  std::int64_t group_size = 0;
  HeadModulation modulation = HeadModulation::kScaleShift;
  std::int64_t shortlist = 0, prototypes = 1;
  bool scattered = false;
  bool by_mass = false;
};
constexpr HeadKind kGrouped = HeadKind::kGrouped;
constexpr HeadModulation kLowRank = HeadModulation::kLowRank, kPerGroup = HeadModulation::kPerGroup;
const Kind kKinds[] = {{"full", HeadKind::kFull},
                       {"full_bias", HeadKind::kFull, false, true},
                       {"full_tied", HeadKind::kFull, true},
                       {"full_tied_bias", HeadKind::kFull, true, true},
                       {"fused", HeadKind::kFused},
                       {"fused_tied_bias", HeadKind::kFused, true, true},
                       {"grouped_7", kGrouped, false, true, 7},
                       {"grouped_default", kGrouped, false, true, 0},
                       {"grouped_1", kGrouped, false, true, 1},
                       {"grouped_31", kGrouped, false, true, 31},
                       {"grouped_shortlist_map", kGrouped, false, true, 7, HeadModulation::kScaleShift, 4, 1, true},
                       {"grouped_tied_shortlist", kGrouped, true, true, 7, HeadModulation::kScaleShift, 4, 2, true},
                       {"low_rank", kGrouped, false, true, 7, kLowRank},
                       {"low_rank_prototypes_map", kGrouped, false, true, 9, kLowRank, 0, 3, true},
                       {"low_rank_shortlist_tied_map", kGrouped, true, true, 6, kLowRank, 5, 1, true},
                       {"per_group", kGrouped, false, true, 7, kPerGroup},
                       {"per_group_shortlist_map", kGrouped, false, true, 8, kPerGroup, 3, 2, true},
                       {"per_group_tied", kGrouped, true, true, 7, kPerGroup, 0, 1, true},
                       {"per_group_tied_shortlist", kGrouped, true, true, 7, kPerGroup, 6, 1, true},
                       {"per_group_by_mass", kGrouped, false, true, 0, kPerGroup, 0, 1, false, true},
                       {"per_group_tied_by_mass", kGrouped, true, true, 0, kPerGroup, 4, 1, false, true},
                       {"adaptive", HeadKind::kAdaptive, false, false, 0, HeadModulation::kScaleShift, 0, 1, true},
                       {"adaptive_bias", HeadKind::kAdaptive, false, true, 0, HeadModulation::kScaleShift, 0, 1, true}};

std::unique_ptr<Head> make(const Kind& kind, std::vector<std::uint64_t> counts = {}) {
  ModelConfig model = config(kind.kind, kind.tied, kind.bias, kind.group_size);
  model.head.modulation = kind.modulation;
  model.head.rank = 2;
  model.head.shortlist = kind.shortlist;
  model.head.prototypes = kind.prototypes;
  if (kind.by_mass) {
    model.head.map = GroupMap::kRandom;
    model.head.group_sizes = GroupSizes::kMass;
    model.head.groups = 6;
  }
  HeadData data{.map = {}, .counts = std::move(counts)};
  if (kind.scattered && kind.kind == HeadKind::kAdaptive) {
    model.head.cutoffs = {5, 11};
    model.head.div_value = 2;
    data.map = scattered_map(5, 1);
    const std::vector<std::uint32_t> all = std::move(data.map->groups[0]);
    data.map->groups = {{all.begin(), all.begin() + 6}, {all.begin() + 6, all.end()}};
  } else if (kind.scattered) {
    model.head.map = GroupMap::kFile;
    model.head.groups = 6;
    data.map = scattered_map(kind.shortlist, 6);
    EXPECT_LE(largest_group(*data.map), static_cast<std::size_t>(kind.group_size));
  }
  return head_of(model, data);
}

class EveryHead : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Head> head_ = make(GetParam());
};

TEST_P(EveryHead, ProbabilitiesSumToOneAndTheLossIsTheirLogarithm) {
  const std::vector<std::uint32_t> labels = all_labels();
  Evaluation eval(*head_, kVocabulary, GetParam().tied);
  const Value log_p = head_->log_probs(eval.graph(), eval.h());
  const HeadLoss loss = head_->loss(eval.graph(), eval.h(), LossUse::kValue);
  eval.set(head_->batch_inputs(labels, LossUse::kValue));
  eval.set(head_->constants());
  ASSERT_NO_FATAL_FAILURE(eval.run());
  for (std::size_t n = 0; n < labels.size(); ++n) {
    double sum = 0;
    for (std::size_t v = 0; v < kVocabulary; ++v) sum += std::exp(eval[log_p][n * kVocabulary + v]);
    EXPECT_NEAR(sum, 1, 1e-12) << "row " << n;
    EXPECT_NEAR(eval[loss.loss][n], -eval[log_p][n * kVocabulary + labels[n]], 1e-12) << "label " << labels[n];
  }
}

TEST_P(EveryHead, GradientOfTheWholeHeadMatchesFiniteDifferences) {
  std::vector<std::uint32_t> labels = {3, 30, 11, kIgnoredLabel, 30, 0, 28, 14, 13};
  const auto rows = static_cast<std::int64_t>(labels.size());
  Evaluation eval(*head_, rows, GetParam().tied);
  eval.data()["scale"] = {1.0 / 8, 0, 0, 0};
  eval.data()["one"] = {1};
  const HeadLoss loss =
      head_->loss(eval.graph(), eval.h(), LossUse::kGradient, eval.graph().parameter("scale", {1, 4}));
  const Value mean = loss.mean;
  std::vector<Value> wrt{eval.h()};
  std::vector<std::string> names{"h"};
  for (const graph::ParameterSpec& spec : head_->parameters().specs()) names.push_back(spec.name);
  if (GetParam().tied) names.emplace_back("transformer.wte.weight");
  for (std::size_t i = 1; i < names.size(); ++i) wrt.push_back(eval.graph().find(names[i]));
  const std::vector<Value> d =
      graph::differentiate(eval.graph(), std::vector<graph::Seed>{{mean, eval.graph().parameter("one", {1, 1})}}, wrt);
  eval.set(head_->batch_inputs(labels, LossUse::kGradient));
  eval.set(head_->constants());
  ASSERT_NO_FATAL_FAILURE(eval.run());
  std::vector<std::vector<double>> analytic;
  for (std::size_t i = 0; i < d.size(); ++i) {
    ASSERT_TRUE(d[i]) << names[i];
    analytic.push_back(eval[d[i]]);
  }
  for (std::int64_t c = 0; c < kHidden; ++c)
    EXPECT_EQ(analytic[0][static_cast<std::size_t>(3 * kHidden + c)], 0) << "ignored";
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::vector<double>& x = eval.data()[names[i]];
    for (std::size_t k = 0; k < x.size(); k += 1 + x.size() / 40) {
      const double kept = x[k], step = 1e-5;
      x[k] = kept + step;
      eval.run();
      const double up = eval[mean][0];
      x[k] = kept - step;
      eval.run();
      EXPECT_NEAR(analytic[i][k], (up - eval[mean][0]) / (2 * step), 2e-9) << names[i] << " element " << k;
      x[k] = kept;
    }
  }
}

// What is the same for every batch is a constant, and the head says it in the size that its graphs declare.
TEST_P(EveryHead, ConstantsAreThoseThatTheGraphsDeclare) {
  std::map<std::string, std::size_t> said;
  for (const NamedWords& constant : head_->constants()) {
    EXPECT_TRUE(said.emplace(constant.name, constant.words.size()).second) << constant.name << " is said twice";
  }
  std::map<std::string, std::size_t> declared;
  const auto note = [&](const Graph& graph) {
    for (const graph::ValueInfo& info : graph.values())
      if (info.role == graph::Role::kConstant) declared[info.name] = static_cast<std::size_t>(info.shape.count());
  };
  for (const LossUse use : {LossUse::kValue, LossUse::kGradient}) {
    Graph graph(ops::op_table());
    const Value h = graph.parameter("h", {9, kHidden});
    head_->loss(graph, h, use, use == LossUse::kGradient ? graph.parameter("scale", {1, 4}) : Value{});
    head_->log_probs(graph, h);
    note(graph);
  }
  Graph step(ops::op_table());
  Hidden few_rows(step.parameter("h", {2, kHidden}));
  few_rows.places = step.input("places", {1, 8}, graph::DType::kU32);
  head_->log_probs(step, few_rows);
  note(step);
  EXPECT_EQ(said, declared);
  const std::vector<std::uint32_t> labels{3, 30, 11, 0, 28, 14, 13, 1, 2};
  for (const NamedWords& input : head_->batch_inputs(labels, LossUse::kGradient))
    EXPECT_FALSE(said.contains(input.name)) << input.name;
}

INSTANTIATE_TEST_SUITE_P(Heads, EveryHead, testing::ValuesIn(kKinds),
                         [](const auto& param) { return param.param.name; });

TEST(GroupedHead, AccuraciesAreThoseOfTheJointDistribution) {
  const auto head = head_of(config(HeadKind::kGrouped));
  const TokenGroups groups(consecutive_map(config(HeadKind::kGrouped)), kVocabulary, 7);
  const std::vector<std::uint32_t> labels = all_labels();
  Evaluation eval(*head, kVocabulary);
  const Value log_p = head->log_probs(eval.graph(), eval.h());
  const HeadLoss loss = head->loss(eval.graph(), eval.h(), LossUse::kValue);
  eval.set(head->batch_inputs(labels, LossUse::kValue));
  eval.set(head->constants());
  ASSERT_NO_FATAL_FAILURE(eval.run());
  int group_hits = 0, slot_hits = 0;
  for (std::size_t n = 0; n < labels.size(); ++n) {
    std::vector<double> mass(5, 0), best(5, 0);
    for (std::uint32_t v = 0; v < kVocabulary; ++v) {
      const double p = std::exp(eval[log_p][n * kVocabulary + v]);
      mass[groups.target(v).group] += p;
      best[groups.target(v).group] = std::max(best[groups.target(v).group], p);
    }
    const std::uint32_t group = groups.target(labels[n]).group;
    const bool group_correct = mass[group] == *std::max_element(mass.begin(), mass.end());
    const bool slot_correct = std::exp(eval[log_p][n * kVocabulary + labels[n]]) == best[group];
    EXPECT_EQ(eval[loss.group_correct][n], group_correct ? 1 : 0) << "label " << labels[n];
    EXPECT_EQ(eval[loss.slot_correct][n], slot_correct ? 1 : 0) << "label " << labels[n];
    EXPECT_NEAR(eval[loss.group_loss][n], -std::log(mass[group]), 1e-12);
    group_hits += group_correct;
    slot_hits += slot_correct;
  }
  EXPECT_GT(group_hits, 0);
  EXPECT_LT(group_hits, kVocabulary);
  EXPECT_GT(slot_hits, 0);
  EXPECT_LT(slot_hits, kVocabulary);
}

TEST(GroupedHead, ParametersAreThePapersAndNoneOfTheTablesDecays) {
  ModelConfig gpt2 = config(HeadKind::kGrouped, false, true, 0);
  gpt2.vocab_size = 50257;
  gpt2.hidden = 256;
  std::int64_t count = 0;
  const auto head = head_of(gpt2);
  for (const graph::ParameterSpec& spec : head->parameters().specs()) {
    count += spec.shape.count();
    EXPECT_EQ(spec.decay, spec.name.ends_with(".weight")) << spec.name;
    if (spec.name == "lm_head.scale") {
      EXPECT_EQ(spec.shape, (graph::Shape{224, 225}));
      EXPECT_EQ(spec.init, graph::Init::kOnes);
    }
  }
  EXPECT_EQ(count, (224 + 225) * 257 + 2 * 224 * 225);
}

// The paper's claim for a good start: a model that knows nothing of the context predicts the tokens' frequencies.
TEST_P(EveryHead, BiasesStartAtTheUnigramDistribution) {
  std::vector<std::uint64_t> counts;
  for (std::uint64_t v = 0; v < kVocabulary; ++v) counts.push_back(v % 7 == 3 ? 0 : 1 + v * v % 50);
  const auto head = make(GetParam(), counts);
  if (!GetParam().bias) return;
  Evaluation eval(*head, 1, GetParam().tied);
  double total = 0;
  for (const std::uint64_t count : counts) total += static_cast<double>(count) + 0.1;
  for (auto& [name, values] : eval.data()) std::fill(values.begin(), values.end(), 0);
  for (const graph::ParameterSpec& spec : head->parameters().specs()) {
    if (spec.init == graph::Init::kValues) eval.data()[spec.name].assign(spec.values->begin(), spec.values->end());
    if (spec.init == graph::Init::kOnes) eval.data()[spec.name].assign(static_cast<std::size_t>(spec.shape.count()), 1);
  }
  const Value log_p = head->log_probs(eval.graph(), eval.h());
  eval.set(head->constants());
  ASSERT_NO_FATAL_FAILURE(eval.run());
  for (std::size_t v = 0; v < kVocabulary; ++v)
    EXPECT_NEAR(std::exp(eval[log_p][v]), (static_cast<double>(counts[v]) + 0.1) / total, 1e-6) << "token " << v;
}

// Class-based softmax is a full softmax whose other groups are masked, over rows of its own or the embedding's.
TEST(GroupedHead, PerGroupIsABlockMaskedFullSoftmax) {
  for (const char* name : {"per_group_shortlist_map", "per_group_tied"}) {
    const Kind& kind =
        *std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) { return k.name == std::string(name); });
    const auto head = make(kind);
    const TokenGroups tokens(*head->token_map(), kVocabulary);
    const std::vector<std::uint32_t> labels = all_labels();
    Evaluation eval(*head, kVocabulary, kind.tied);
    const HeadLoss loss = head->loss(eval.graph(), eval.h(), LossUse::kValue);
    eval.set(head->batch_inputs(labels, LossUse::kValue));
    eval.set(head->constants());
    ASSERT_NO_FATAL_FAILURE(eval.run());
    const std::vector<double>& weight = eval.data()[kind.tied ? "transformer.wte.weight" : "lm_head.token.weight"];
    for (std::size_t n = 0; n < labels.size(); ++n) {
      const GroupTarget target = tokens.target(labels[n]);
      if (target.group == kIgnoredLabel) {
        EXPECT_EQ(eval[loss.slot_loss][n], 0) << name;
        EXPECT_EQ(eval[loss.slot_correct][n], 1) << name;
        continue;
      }
      double sum = 0, own = 0;
      for (std::uint32_t s = 0; s < target.slots; ++s) {
        const std::uint32_t token = tokens.token(target.group, s);
        const std::size_t row = kind.tied ? token : tokens.order_of(token);
        double z = eval.data()["lm_head.shift"][target.group * head->parameters().specs().back().shape.cols + s];
        for (std::size_t k = 0; k < kHidden; ++k) z += weight[row * kHidden + k] * eval.data()["h"][n * kHidden + k];
        sum += std::exp(z);
        if (s == target.slot) own = z;
      }
      EXPECT_NEAR(eval[loss.slot_loss][n], std::log(sum) - own, 1e-12) << name << " label " << n;
    }
  }
}

}  // namespace
}  // namespace fabula::heads
