// The levels that are found again in a joint distribution are those that the head's loss is made of, for every kind of
// two-level head.
#include "infer/inspection.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "decode/decoded.hpp"
#include "models/loss_graph.hpp"

namespace fabula::infer {
namespace {

constexpr std::size_t kTokens = 40;

ModelConfig with_shortlist(ModelConfig config, std::int64_t tokens) {
  config.head.shortlist = tokens;
  return config;
}

std::vector<Kind> two_level_heads() {
  const auto grouped = [](HeadModulation modulation) {
    return config_of(ModelFamily::kGpt2, HeadKind::kGrouped, modulation);
  };
  return {{"scale_shift", grouped(HeadModulation::kScaleShift)},
          {"low_rank", grouped(HeadModulation::kLowRank)},
          {"per_group", grouped(HeadModulation::kPerGroup)},
          {"shortlist", with_shortlist(grouped(HeadModulation::kScaleShift), 9)},
          {"per_group_shortlist", with_shortlist(grouped(HeadModulation::kPerGroup), 31)},
          {"adaptive", config_of(ModelFamily::kGpt2, HeadKind::kAdaptive)}};
}

class TwoLevelHead : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Inspection, TwoLevelHead, testing::ValuesIn(two_level_heads()),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(TwoLevelHead, HasTheLevelsOfItsLoss) {
  const models::LanguageModel model(GetParam().config);
  const auto T = static_cast<std::int64_t>(kTokens);
  const std::vector<std::uint32_t> ids = random_ids(kTokens, 21), labels = random_ids(kTokens, 22);
  graph::Workload workload(test::device().profile());
  const models::PlannedLoss loss =
      models::add_loss_graph(workload, "loss", models::evaluation_graph(model, 1, T, true));
  graph::Graph graph(ops::op_table());
  const models::BodyInputs inputs = models::token_inputs(graph, model, T, heads::LossUse::kValue);
  const graph::Value joint = model.head().log_probs(graph, model.body().hidden(graph, {1, T, false}, inputs));
  graph.keep(joint);
  const std::size_t whole = workload.add("whole", std::move(graph));
  graph::Runtime runtime(test::device(), std::move(workload));
  spread_weights(runtime, model);
  models::set_batch(runtime, loss.index, models::batch_words(model, ids, labels, heads::LossUse::kValue));
  models::set_inputs(runtime, whole, models::token_words(model, ids, heads::LossUse::kValue));
  runtime.submit({loss.index, whole});

  const heads::HeadLoss& values = loss.values.per_position;
  const std::vector<float> log_probs = runtime.read(whole, joint),
                           group_loss = runtime.read(loss.index, values.group_loss),
                           slot_loss = runtime.read(loss.index, values.slot_loss);
  const auto V = static_cast<std::size_t>(model.head().vocabulary());
  for (std::size_t t = 0; t < kTokens; ++t) {
    const Inspection seen = inspect(std::span(log_probs).subspan(t * V, V), model.head().token_map(), labels[t], 10);
    ASSERT_TRUE(seen.levels);
    const auto own = std::find_if(seen.levels->classes.begin(), seen.levels->classes.end(),
                                  [&](const LikelyClass& entry) { return entry.index == seen.levels->index; });
    ASSERT_NE(own, seen.levels->classes.end());
    EXPECT_NEAR(own->log_p, -group_loss[t], 1e-4) << "class of token " << labels[t] << " at " << t;
    EXPECT_NEAR(seen.levels->token_log_p, -slot_loss[t], 1e-4) << "token " << labels[t] << " at " << t;
  }
}

}  // namespace
}  // namespace fabula::infer
