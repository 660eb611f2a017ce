// Steps sent ahead compute what steps one by one compute, and a bad one stops those behind it.
#include "train/step_runner.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "expect_error.hpp"
#include "formats/config_io.hpp"
#include "models/weights.hpp"

namespace fabula::train {
namespace {

constexpr std::uint32_t kRareToken = 279;  // in no batch but where a test puts it

RunConfig small_config(std::int64_t accumulation) {
  RunConfig config = parse_config(R"({"model_type": "gpt2", "vocab_size": 280, "n_positions": 16, "n_embd": 16,
    "n_layer": 1, "n_head": 2, "embd_pdrop": 0.1, "attn_pdrop": 0, "resid_pdrop": 0.1, "head": {"kind": "grouped"},
    "train": {"batch_size": 2, "steps": 9, "warmup_steps": 2, "learning_rate": 1e-2}})",
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
        model_(config.model),
        plan_(plan_training(device_->profile(), model_, config.train, {.with_extras = false})),
        runtime_(*device_, std::move(plan_.workload), {.spans = true}),
        runner_(runtime_, plan_, model_, config, config.train.steps,
                [=, this](std::uint64_t number) { return batch(number, number == bad_batch); }) {
    models::initialise_weights(runtime_, model_, 1);
    for (const char* moment : {"m.", "v."})
      for (const graph::ParameterSpec& spec : model_.parameters())
        runtime_.upload(std::string(graph::kOptimizerPrefix) + moment + spec.name,
                        std::vector<float>(static_cast<std::size_t>(spec.shape.count()), 0.0f));
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
    std::vector<float> table = values(models::kTokenEmbedding);
    for (std::size_t i = table.size() - static_cast<std::size_t>(config_.model.hidden); i < table.size(); ++i)
      table[i] = INFINITY;
    runtime_.upload(models::kTokenEmbedding, table);
  }
  graph::Runtime& runtime() { return runtime_; }
  const TrainingPlan& plan() const { return plan_; }
  StepRunner& runner() { return runner_; }

 private:
  text::Batch batch(std::uint64_t number, bool bad) const {
    const auto positions = static_cast<std::size_t>(config_.train.batch_size * sequence_length(config_));
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
  TrainingPlan plan_;
  graph::Runtime runtime_;
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
      EXPECT_FALSE(result.halted);
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
    EXPECT_EQ(result.halted, result.number >= 3) << "step " << result.number;
    EXPECT_EQ(std::isfinite(result.loss), result.number != 3) << "step " << result.number;
  }
  auto expected = good.weights(), weights = bad.weights();
  std::vector<float>&a = expected.at(models::kTokenEmbedding), &b = weights.at(models::kTokenEmbedding);
  for (std::vector<float>* table : {&a, &b})
    table->resize(table->size() - static_cast<std::size_t>(config.model.hidden));
  EXPECT_EQ(weights, expected);
  for (const float weight : b) ASSERT_TRUE(std::isfinite(weight));
}

INSTANTIATE_TEST_SUITE_P(MicroBatches, StepsAhead, testing::Values(1, 2, 3));

TEST(Runtime, ResultsAreReadUntilTheRunAfterTheNext) {
  Bench bench(small_config(1));
  const std::size_t graph = bench.plan().overwrite;
  const graph::Value loss = bench.plan().gradient.loss;
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
