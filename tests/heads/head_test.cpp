// The heads as mathematics: their graphs evaluated in double by the references, no device.
#include "heads/head.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "expect_error.hpp"
#include "heads/grouped.hpp"
#include "ops/op_table.hpp"

namespace fabula::heads {
namespace {
using graph::DType;
using graph::Graph;
using graph::RefTensor;
using graph::Value;
using test::expect_error;

constexpr std::int64_t kHidden = 5, kVocabulary = 31;

ModelConfig config(HeadKind kind, bool tied = false, bool bias = false, std::int64_t group_size = 7) {
  ModelConfig config;
  config.vocab_size = kVocabulary;  // with 7 slots: 5 groups and 4 phantom slots
  config.hidden = kHidden;
  config.tie_word_embeddings = tied;
  config.head = {.kind = kind, .bias = bias, .group_size = kind == HeadKind::kGrouped ? group_size : 0};
  return config;
}

/// A graph of a head with random parameters and hidden vectors.
class Evaluation {
 public:
  Evaluation(const Head& head, std::int64_t rows, bool tied = false)
      : head_(head), graph_(ops::op_table()), h_(graph_.parameter("h", {rows, kHidden})) {
    Philox random(17);
    fill("h", {rows, kHidden}, random);
    if (tied) fill("transformer.wte.weight", {head.vocabulary(), kHidden}, random);
    for (const graph::ParameterSpec& spec : head.parameters()) fill(spec.name, spec.shape, random);
  }
  Graph& graph() { return graph_; }
  Value h() const { return h_; }
  std::map<std::string, std::vector<double>>& data() { return data_; }
  void set(const std::vector<InputWords>& inputs) {
    for (const InputWords& input : inputs) words_[input.name] = input.words;
  }
  void run() {
    values_.assign(graph_.values().size(), {});
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const graph::ValueInfo& info = graph_.values()[i];
      if (info.role == graph::Role::kActivation) continue;
      values_[i] = RefTensor<double>(info.shape, info.dtype);
      if (info.dtype == DType::kU32) {
        ASSERT_EQ(words_.at(info.name).size(), values_[i].u.size()) << info.name;
        values_[i].u = words_.at(info.name);
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
  bool tied, bias;
  std::int64_t group_size;
};
const Kind kKinds[] = {
    {"full", HeadKind::kFull, false, false, 0},        {"full_bias", HeadKind::kFull, false, true, 0},
    {"full_tied", HeadKind::kFull, true, false, 0},    {"full_tied_bias", HeadKind::kFull, true, true, 0},
    {"grouped_7", HeadKind::kGrouped, false, true, 7}, {"grouped_default", HeadKind::kGrouped, false, true, 0},
    {"grouped_1", HeadKind::kGrouped, false, true, 1}, {"grouped_31", HeadKind::kGrouped, false, true, 31}};

class EveryHead : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Head> head_ =
      make_head(config(GetParam().kind, GetParam().tied, GetParam().bias, GetParam().group_size));
};

TEST_P(EveryHead, ProbabilitiesSumToOneAndTheLossIsTheirLogarithm) {
  const std::vector<std::uint32_t> labels = all_labels();
  Evaluation eval(*head_, kVocabulary, GetParam().tied);
  const Value log_p = head_->log_probs(eval.graph(), eval.h());
  const HeadLoss loss = head_->loss(eval.graph(), eval.h(), LossUse::kValue);
  eval.set(head_->batch_inputs(labels, LossUse::kValue));
  eval.set(head_->decode_inputs());
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
  const HeadLoss loss = head_->loss(eval.graph(), eval.h(), LossUse::kGradient);
  const Value mean = eval.graph().op1("mean_loss", {loss.loss, eval.graph().parameter("scale", {1, 4})});
  std::vector<Value> wrt{eval.h()};
  std::vector<std::string> names{"h"};
  for (const graph::ParameterSpec& spec : head_->parameters()) names.push_back(spec.name);
  if (GetParam().tied) names.emplace_back("transformer.wte.weight");
  for (std::size_t i = 1; i < names.size(); ++i) wrt.push_back(eval.graph().find(names[i]));
  const std::vector<Value> d =
      graph::differentiate(eval.graph(), std::vector<graph::Seed>{{mean, eval.graph().parameter("one", {1, 1})}}, wrt);
  eval.set(head_->batch_inputs(labels, LossUse::kGradient));
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

INSTANTIATE_TEST_SUITE_P(Heads, EveryHead, testing::ValuesIn(kKinds),
                         [](const auto& param) { return param.param.name; });

TEST(GroupedHead, AccuraciesAreThoseOfTheJointDistribution) {
  const auto head = make_head(config(HeadKind::kGrouped));
  const TokenGroups groups = TokenGroups::id_ranges(kVocabulary, 7);
  const std::vector<std::uint32_t> labels = all_labels();
  Evaluation eval(*head, kVocabulary);
  const Value log_p = head->log_probs(eval.graph(), eval.h());
  const HeadLoss loss = head->loss(eval.graph(), eval.h(), LossUse::kValue);
  eval.set(head->batch_inputs(labels, LossUse::kValue));
  eval.set(head->decode_inputs());
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
  for (const graph::ParameterSpec& spec : make_head(gpt2)->parameters()) {
    count += spec.shape.count();
    EXPECT_EQ(spec.decay, spec.name.ends_with(".weight")) << spec.name;
    if (spec.name == "lm_head.scale") {
      EXPECT_EQ(spec.shape, (graph::Shape{224, 225}));
      EXPECT_EQ(spec.init, graph::Init::kOnes);
    }
  }
  EXPECT_EQ(count, (224 + 225) * 257 + 2 * 224 * 225);
}

TEST(FullHead, ATiedHeadHasNoMatrixOfItsOwn) {
  EXPECT_TRUE(make_head(config(HeadKind::kFull, true))->parameters().empty());
  const auto untied = make_head(config(HeadKind::kFull, false, true))->parameters();
  ASSERT_EQ(untied.size(), 2u);
  EXPECT_EQ(untied[0].name, "lm_head.weight");
  EXPECT_TRUE(untied[0].decay);
  EXPECT_EQ(untied[1].name, "lm_head.bias");
  EXPECT_FALSE(untied[1].decay);
}

TEST(Heads, ATokenBeyondTheVocabularyIsRefusedByPosition) {
  for (const HeadKind kind : {HeadKind::kFull, HeadKind::kGrouped}) {
    const auto head = make_head(config(kind));
    const std::vector<std::uint32_t> labels = {0, kIgnoredLabel, 31};
    expect_error(ErrorCode::kInvalidArgument, {"token id 31", "position 2", "31 tokens"},
                 [&] { head->batch_inputs(labels, LossUse::kGradient); });
  }
}

TEST(Heads, SizesThatDoNotFitNameTheField) {
  expect_error(ErrorCode::kInvalidArgument, {"head.group_size is 32", "1 to 31"},
               [] { make_head(config(HeadKind::kGrouped, false, true, 32)); });
  ModelConfig groups = config(HeadKind::kGrouped);
  groups.head.groups = 4;
  expect_error(ErrorCode::kInvalidArgument, {"head.groups is 4", "need 5"}, [&] { make_head(groups); });
  ModelConfig empty = config(HeadKind::kFull);
  empty.vocab_size = 0;
  expect_error(ErrorCode::kInvalidArgument, {"vocab_size is 0"}, [&] { make_head(empty); });
}

}  // namespace
}  // namespace fabula::heads
