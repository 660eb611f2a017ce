// Steps sent ahead compute what steps one by one compute, and a bad one stops those behind it.
#include "train/step_runner.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "expect_error.hpp"
#include "formats/config_io.hpp"
#include "models/weights.hpp"

namespace fabula::train {
namespace {

constexpr std::uint32_t kRareToken = 279;  // in no batch but where a test puts it

RunConfig small_config(std::int64_t accumulation, std::string_view head = R"("kind": "grouped")") {
  RunConfig config = parse_config(fmt::format(R"({{"model_type": "gpt2", "vocab_size": 280, "n_positions": 16,
    "n_embd": 16, "n_layer": 1, "n_head": 2, "embd_pdrop": 0.1, "attn_pdrop": 0, "resid_pdrop": 0.1, "head": {{{}}},
    "train": {{"batch_size": 2, "steps": 9, "warmup_steps": 2, "learning_rate": 1e-2}}}})",
                                              head),
                                  "this test");
  config.train.grad_accumulation = accumulation;
  return config;
}

/// A model on a device, ready to train on batches of its own making.
class Bench {
 public:
  explicit Bench(const RunConfig& config, std::optional<std::uint64_t> bad_batch = {})
      : config_(config),
        device_(vk::Device::open({.device = {}, .cache_dir = "none"})),
        model_(config.model, {}, config.train.precision),
        training_(*device_, plan_training(device_->profile(), model_, config.train, {.with_extras = false}),
                  {.spans = true}),
        runtime_(training_.runtime),
        runner_(runtime_, training_.graphs, model_, config, config.train.steps,
                [=, this](std::uint64_t number) { return batch(number, number == bad_batch); }) {
    models::initialise_weights(runtime_, model_, 1);
  }

  /// Runs the steps with up to `ahead` of them unknown to the host.
  std::vector<StepResult> run(std::int64_t first, std::int64_t last, std::size_t ahead) {
    std::vector<StepResult> results;
    for (std::int64_t number = first; number <= last; ++number) {
      runner_.start(number);
      while (runner_.under_way() > ahead) results.push_back(runner_.finish());
    }
    while (runner_.under_way() > 0) results.push_back(runner_.finish());
    return results;
  }
  std::vector<float> values(const std::string& name) {
    std::vector<float> result(static_cast<std::size_t>(runtime_.workload().stored().at(name).shape.count()));
    runtime_.download(name, result);
    return result;
  }
  std::map<std::string, std::vector<float>> weights() {
    std::map<std::string, std::vector<float>> result;
    for (const graph::ParameterSpec& spec : model_.parameters()) result[spec.name] = values(spec.name);
    return result;
  }
  void spoil_rare_token() {
    std::vector<float> table = values(embedding());
    for (std::size_t i = table.size() - static_cast<std::size_t>(config_.model.hidden); i < table.size(); ++i)
      table[i] = INFINITY;
    runtime_.upload(embedding(), table);
  }
  const std::string& embedding() const { return model_.body().token_embedding().name; }
  graph::Runtime& runtime() { return runtime_; }
  const TrainingGraphs& graphs() const { return training_.graphs; }
  StepRunner& runner() { return runner_; }

 private:
  text::Batch batch(std::uint64_t number, bool bad) const {
    const auto positions = static_cast<std::size_t>(config_.train.batch_size * config_.sequence_length());
    Philox random(3, number);
    text::Batch result{std::vector<std::uint32_t>(positions), std::vector<std::uint32_t>(positions)};
    for (std::uint32_t& id : result.ids) id = random.below(kRareToken);
    for (std::uint32_t& label : result.labels) label = random.below(kRareToken);
    if (bad) result.ids[5] = kRareToken;
    return result;
  }

  RunConfig config_;
  std::unique_ptr<vk::Device> device_;
  models::LanguageModel model_;
  TrainingRuntime training_;
  graph::Runtime& runtime_;
  StepRunner runner_;
};

class StepsAhead : public testing::TestWithParam<std::int64_t> {};

TEST_P(StepsAhead, ComputeTheSameBits) {
  const RunConfig config = small_config(GetParam());
  Bench one_by_one(config), ahead(config);
  const auto before = ahead.weights();
  const std::vector<StepResult> expected = one_by_one.run(1, 9, 0);
  for (const auto& [first, last] : {std::pair{1, 4}, std::pair{5, 9}}) {  // as around a checkpoint
    const std::vector<StepResult> results = ahead.run(first, last, 1);
    ASSERT_EQ(results.size(), static_cast<std::size_t>(last - first + 1));
    for (const StepResult& result : results) {
      const StepResult& other = expected.at(static_cast<std::size_t>(result.number - 1));
      EXPECT_EQ(result.number, other.number);
      EXPECT_EQ(result.loss, other.loss) << "step " << result.number;
      EXPECT_EQ(result.norm, other.norm) << "step " << result.number;
      EXPECT_EQ(result.group_correct, other.group_correct) << "step " << result.number;
      EXPECT_GT(result.seconds, 0);
      EXPECT_EQ(result.outcome, StepOutcome::kApplied);
    }
  }
  EXPECT_NE(ahead.weights(), before);
  EXPECT_EQ(ahead.weights(), one_by_one.weights());
}

// A step of some micro-batches is halted by any of them.
TEST_P(StepsAhead, NothingChangesFromABadStepOn) {
  const RunConfig config = small_config(GetParam());
  Bench good(config), bad(config, 3 * GetParam() - 1);  // the last micro-batch of step 3
  good.spoil_rare_token();
  bad.spoil_rare_token();
  good.run(1, 2, 1);
  const std::vector<StepResult> results = bad.run(1, 6, 1);
  for (const StepResult& result : results) {
    EXPECT_EQ(result.outcome == StepOutcome::kHalted, result.number >= 3) << "step " << result.number;
    EXPECT_EQ(std::isfinite(result.loss), result.number != 3) << "step " << result.number;
  }
  auto expected = good.weights(), weights = bad.weights();
  std::vector<float>&a = expected.at(bad.embedding()), &b = weights.at(bad.embedding());
  for (std::vector<float>* table : {&a, &b})
    table->resize(table->size() - static_cast<std::size_t>(config.model.hidden));
  EXPECT_EQ(weights, expected);
  for (const float weight : b) ASSERT_TRUE(std::isfinite(weight));
}

class EveryHead : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(Heads, EveryHead,
                         testing::Values(R"("kind": "grouped")",
                                         R"("kind": "grouped", "modulation": "low_rank", "rank": 4)",
                                         R"("kind": "grouped", "modulation": "per_group")", R"("kind": "adaptive")",
                                         R"("kind": "full")", R"("kind": "fused")"));

// Storing activations in 16 bits moves the loss by less than 1 %, whatever the device.
TEST_P(EveryHead, TrainsInSixteenBitsAsInThirtyTwo) {
  RunConfig config = small_config(1, GetParam());
  Bench exact(config);
  const std::vector<StepResult> expected = exact.run(1, 9, 1);
  for (const Precision precision : {Precision::kFp16, Precision::kBf16}) {
    config.train.precision = precision;
    Bench half(config);
    const std::vector<StepResult> results = half.run(1, 9, 1);
    for (std::size_t i = 0; i < results.size(); ++i) {
      EXPECT_EQ(results[i].outcome, StepOutcome::kApplied);
      EXPECT_NEAR(results[i].loss, expected[i].loss, 0.01 * expected[i].loss) << precision_name(precision);
      EXPECT_NEAR(results[i].norm, expected[i].norm, 0.05 * expected[i].norm) << precision_name(precision);
      EXPECT_EQ(results[i].loss_scale, precision == Precision::kFp16 ? LossScale{}.scale : 1);
    }
  }
}

struct Recomputed {
  const char* name;
  ModelFamily family;
  std::string_view head;
  Precision precision;
};

class RecomputedBlocks : public testing::TestWithParam<Recomputed> {};

std::vector<Recomputed> recomputed_runs() {
  std::vector<Recomputed> runs;
  for (const Precision precision : {Precision::kFp32, Precision::kFp16, Precision::kBf16}) {
    runs.push_back({"gpt2_grouped", ModelFamily::kGpt2, R"("kind": "grouped")", precision});
    runs.push_back({"gpt2_adaptive", ModelFamily::kGpt2, R"("kind": "adaptive")", precision});
    runs.push_back({"gpt_neo_full", ModelFamily::kGptNeo, R"("kind": "full")", precision});
    runs.push_back({"gpt_neo_fused", ModelFamily::kGptNeo, R"("kind": "fused")", precision});
    runs.push_back({"llama_full", ModelFamily::kLlama, R"("kind": "full")", precision});
    runs.push_back({"llama_grouped", ModelFamily::kLlama, R"("kind": "grouped")", precision});
  }
  return runs;
}

// A copy rounds where the original does, and nowhere else.
TEST_P(RecomputedBlocks, GiveTheSameBits) {
  RunConfig config = small_config(2, GetParam().head);
  config.model.family = GetParam().family;
  config.model.layers = 2;
  config.train.precision = GetParam().precision;
  if (config.model.family == ModelFamily::kGptNeo) {
    config.model.attention_layers = {AttentionKind::kGlobal, AttentionKind::kLocal};
    config.model.window_size = 4;
  }
  if (config.model.family == ModelFamily::kLlama) config.model.kv_heads = 1;
  config.train.recompute = Recompute::kNone;
  Bench none(config);
  config.train.recompute = Recompute::kBlock;
  Bench block(config);
  const auto gradients = [](Bench& bench) {
    std::map<std::string, std::vector<float>> result;
    for (const auto& [name, weights] : bench.weights())
      result[name] = bench.values(std::string(graph::kGradientPrefix) + name);
    return result;
  };
  const auto before = none.weights();
  const std::vector<StepResult> expected = none.run(1, 6, 1), results = block.run(1, 6, 1);
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].loss, expected[i].loss) << "step " << i + 1;
    EXPECT_EQ(results[i].norm, expected[i].norm) << "step " << i + 1;
    EXPECT_EQ(results[i].outcome, StepOutcome::kApplied);
  }
  EXPECT_EQ(gradients(block), gradients(none));
  EXPECT_EQ(block.weights(), none.weights());
  EXPECT_NE(none.weights(), before);
}

INSTANTIATE_TEST_SUITE_P(Models, RecomputedBlocks, testing::ValuesIn(recomputed_runs()), [](const auto& run) {
  return fmt::format("{}_{}", run.param.name, precision_name(run.param.precision));
});

// Too large a loss scale costs steps, not weights, and the device finds one that fits before the host knows.
TEST(Precision, AnOverflowHalvesTheLossScale) {
  RunConfig config = small_config(1);
  config.train.precision = Precision::kFp16;
  Bench one_by_one(config), ahead(config);
  const auto before = ahead.weights();
  for (Bench* bench : {&one_by_one, &ahead}) bench->runner().set_loss_scale({.scale = 0x1p24, .good_steps = 0});
  const std::vector<StepResult> expected = one_by_one.run(1, 1, 0);
  ASSERT_EQ(expected.front().outcome, StepOutcome::kSkipped);
  EXPECT_EQ(one_by_one.weights(), before);
  EXPECT_EQ(one_by_one.runner().loss_scale().scale, 0x1p23);
  one_by_one.run(2, 9, 0);
  const std::vector<StepResult> results = ahead.run(1, 9, 1);
  double scale = 0x1p24;
  for (const StepResult& result : results) {
    EXPECT_EQ(result.loss_scale, scale) << "step " << result.number;
    if (result.outcome == StepOutcome::kSkipped) scale /= 2;
  }
  EXPECT_EQ(results.back().outcome, StepOutcome::kApplied);
  EXPECT_TRUE(std::isfinite(results.back().loss));
  EXPECT_NE(ahead.weights(), before);
  EXPECT_EQ(ahead.weights(), one_by_one.weights());
  EXPECT_EQ(ahead.runner().loss_scale().scale, scale);
}

INSTANTIATE_TEST_SUITE_P(MicroBatches, StepsAhead, testing::Values(1, 2, 3));

TEST(Runtime, ResultsAreReadUntilTheRunAfterTheNext) {
  Bench bench(small_config(1));
  const std::size_t graph = bench.graphs().overwrite.index;
  const graph::Value loss = bench.graphs().overwrite.values.loss;
  test::expect_error(ErrorCode::kInternal, {"run 0", "gradients"}, [&] { bench.runtime().read(graph, loss); });
  bench.runner().start(1);
  bench.runner().start(2);
  const double first = bench.runtime().read(graph, loss, 1).front(), second = bench.runtime().read(graph, loss).front();
  EXPECT_EQ(bench.runner().finish().loss, first);
  EXPECT_EQ(bench.runner().finish().loss, second);
  EXPECT_NE(first, second);
  bench.runner().start(3);
  test::expect_error(ErrorCode::kInternal, {"run 1", "last one is 3"}, [&] { bench.runtime().read(graph, loss, 1); });
  bench.runner().finish();
}

}  // namespace
}  // namespace fabula::train
